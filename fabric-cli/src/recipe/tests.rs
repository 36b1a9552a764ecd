//! The words of the program are those of the library.

use fabric_core::Migrations;

/// Every word of a literal recipe, as the library writes it and as the command reads it.
#[test]
fn the_command_reads_the_recipe_that_the_program_writes() {
    macro_rules! both {
        ($m:ident: $($statement:expr;)*) => {{
            let mut of_program = Migrations::default();
            let $m = &mut of_program;
            $(let _: &mut Migrations = $statement;)*
            let text = concat!($(stringify!($statement), ";\n"),*);
            (of_program, text)
        }};
    }
    let (of_program, text) = both! { m:
        m.from(1, "a").rename("a.*", "b.*").if_present().concat(["q", "k"], "qk", 1);
        m.split("a", [("b", 1), ("c", 2)], 0).stack("l.*.w", "w", 0).stack(["a", "b"], "c", 1);
        m.unstack("a", "b.*", 2).transpose("a", 0, 1).reshape("a", (2, 3)).reshape("b", 6).reshape("c", [1, 2, 3]);
        m.cast("a", fabric_core::DType::BF16).moments(fabric_core::Moments::Reset);
        m.from(2, "b").insert("a", 1.5).insert("b", "text").insert("c", true).insert("d", -3).insert("e", [1, 2]);
        m.version("a.b", 3).insert_zeros("a").keep("b").remove("c").moments(fabric_core::Moments::Follow);
    };
    let statements = syn::parse::Parser::parse_str(syn::Block::parse_within, text).expect("statements");
    let of_command = super::words::statements(&statements, None).expect("words alone");
    assert_eq!(format!("{of_command:?}"), format!("{of_program:?}"));
}
