//! `ckpt completions`.

use crate::support::run;

#[test]
fn every_shell_gets_a_script_that_names_the_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let said = run(&std::env::temp_dir(), &["completions", shell]);
        assert_eq!(said.status, 0, "{}", said.error);
        assert!(
            said.out.contains("ckpt") && said.out.contains("completions"),
            "{shell}: {}",
            said.out
        );
    }
}
