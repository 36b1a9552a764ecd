//! One process after the other: the tool itself is tested.

use super::rounds;
use super::tool::ask;

#[test]
fn what_one_process_saves_another_one_loads() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("last.ckpt");
    let ways = [("save", "load"), ("save-async", "load"), ("save-ranks", "load-ranks")];
    for (round, (save, load)) in ways.into_iter().cycle().take(rounds(3)).enumerate() {
        let expected = format!("ok {round}");
        assert_eq!(ask(&[&save, &path, &"1000", &round.to_string()]), expected, "{save}");
        assert_eq!(ask(&[&load, &path, &"1000"]), expected, "{load}");
        assert!(
            ask(&[&load, &path, &"1001"]).starts_with("error "),
            "another shape does not load"
        );
    }
    assert_eq!(ask(&[&"open", &path]), "ok 3");
}
