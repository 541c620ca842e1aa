//! Any octets: no panic, and what can be written reads back as it was.

use krb5_profile::{FinalRule, Profile, WriteError};
use proptest::prelude::*;

use crate::dump::dump;

const RULES: [FinalRule; 2] = [FinalRule::Before1_22, FinalRule::Since1_22];

fn check(octets: &[u8]) -> Result<(), TestCaseError> {
    for rule in RULES {
        let Ok(profile) = Profile::parse("x", octets, rule) else {
            continue;
        };
        match profile.trees()[0].to_octets() {
            Ok(written) => {
                let again = Profile::parse("x", &written, rule);
                let shown = krb5_profile::text(&written);
                prop_assert_eq!(dump(&again), dump(&Ok(profile)), "written as {}", shown);
            }
            Err(WriteError::LineTooLong { octets, .. }) => {
                prop_assert!(octets > krb5_profile::MAX_LINE);
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_spelling_is_read(choices in prop::collection::vec(any::<u8>(), 0..400)) {
        crate::spelling::check(&choices);
    }

    #[test]
    fn any_octets(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&octets)?;
    }

    #[test]
    fn anything_that_looks_like_a_profile(
        lines in prop::collection::vec("(\\[[a*]?\\][* ]?|[ab{*\"]{1,2} ?= ?[ab{}\"\\\\# \t*]{0,8}|\\}\\*?|[\\[ \n=}{a]{0,3})", 0..20)
    ) {
        check(format!("[x]\n{}", lines.join("\n")).as_bytes())?;
    }
}

#[test]
fn a_valid_file_cut_anywhere() {
    let text = b"t\n[a]\n s* = {\n  k = \"v\\\"\"\n u =\n {\n  m* = 1\n }*\n }\n[b]*\n c = {\n }\n";
    for length in 0..=text.len() {
        check(&text[..length]).unwrap();
    }
}

#[test]
fn depth_costs_no_stack() {
    let depth = 200_000;
    let text = format!("[a]\n{}", "b={\n".repeat(depth));
    let profile = Profile::parse("x", text.as_bytes(), FinalRule::Since1_22).unwrap();
    assert!(profile.trees()[0].to_octets().unwrap().len() > text.len());
    assert_eq!(profile.clone().trees().len(), 1);
}

#[test]
fn many_values_of_one_name_take_linear_time() {
    let text = format!("[a]\n{}", "b=1\n".repeat(200_000));
    for rule in RULES {
        let profile = Profile::parse("x", text.as_bytes(), rule).unwrap();
        assert_eq!(profile.relations(["a", "b"]).len(), 200_000);
    }
}
