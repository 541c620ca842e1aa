//! Merging over files, and what finality does to it: the cases of MIT's own test of `final`, before 1.22 and since.

use krb5_profile::{FinalRule, MemoryFiles, Profile};

const SINGLE: [(&str, &str); 5] = [
    ("final1", "[section]\n subsection = {\n  key = value1\n }\n"),
    ("final2", "[section]\n subsection = {\n  key* = value2\n }\n"),
    ("final3", "[section]\n subsection* = {\n  key = value3\n }\n"),
    ("final4", "[section]\n subsection = {\n  key = value4\n }*\n"),
    ("final5", "[section]*\n subsection = {\n  key = value5\n }\n"),
];

fn files() -> MemoryFiles {
    let mut files = MemoryFiles::from(SINGLE);
    files.insert(
        "final6",
        "[a]\n ab = 1\n ab* = 2\n ab = 3\n ab* = 4\n ac* = 1\n[a]\n ac = 2\n ac* = 3\n ac = 4\n\
         [b]*\n ba = 1\n ba* = 2\n bb* = {\n  bba = 1\n }\n bb = {\n  bba = 2\n }\n[b]\n ba = 3\n\
         [c]\n ca = {\n  caa = 1\n }*\n ca = {\n  caa = 2\n }\n cb* = {\n  cba = 1\n }\n cb = {\n  cba = 2\n }\n\
         cc = 1\n cc* = 2\n",
    );
    files
}

fn values(list: &[&str], path: &[&str], rule: FinalRule) -> String {
    let profile = Profile::load(list, &files(), rule).unwrap();
    let values = profile.relations(path);
    values
        .iter()
        .map(|relation| krb5_profile::text(relation.value()))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn final_over_files_and_within_one() {
    let key = &["section", "subsection", "key"][..];
    for (list, path, since, before) in [
        (&["final1", "final1"][..], key, "value1 value1", "value1 value1"),
        (&["final2", "final1"], key, "value2", "value2 value1"),
        (&["final3", "final1"], key, "value3", "value3"),
        (&["final4", "final1"], key, "value4", "value4"),
        (&["final5", "final1"], key, "value5", "value5"),
        (&["final6"], &["a", "ab"], "1 2", "1 2 3 4"),
        (&["final6"], &["a", "ac"], "1", "1 2 3 4"),
        (&["final6"], &["b", "ba"], "1 2", "1 2 3"),
        (&["final6"], &["b", "bb", "bba"], "1", "1 2"),
        (&["final6"], &["c", "ca", "caa"], "1", "1 2"),
        (&["final6"], &["c", "cb", "cba"], "1", "1 2"),
        (&["final6"], &["c", "cc"], "1 2", "1 2"),
    ] {
        assert_eq!(
            values(list, path, FinalRule::Since1_22),
            since,
            "{list:?} {path:?} since 1.22"
        );
        assert_eq!(
            values(list, path, FinalRule::Before1_22),
            before,
            "{list:?} {path:?} before 1.22"
        );
    }
}

#[test]
fn a_final_subsection_ends_the_listing_since_1_22() {
    let files = MemoryFiles::from([
        ("kdc.conf", "[otp]\n o* = {\n }\n"),
        ("krb5.conf", "[otp]\n t = {\n }\n y = {\n }\n"),
    ]);
    for (rule, expected) in [(FinalRule::Since1_22, "o"), (FinalRule::Before1_22, "oty")] {
        let profile = Profile::load(["kdc.conf", "krb5.conf"], &files, rule).unwrap();
        let names: Vec<_> = profile
            .subsections(["otp"])
            .iter()
            .map(|section| section.name())
            .collect();
        assert_eq!(names.concat(), expected.as_bytes());
    }
}

#[test]
fn the_first_file_counts_and_missing_ones_are_skipped() {
    let files = MemoryFiles::from([
        ("one", "[a]\n s = {\n  k = 1\n  i = x\n }\n"),
        ("two", "[a]\n s = {\n  k = 2\n  i = y\n  l = 3\n }\n"),
        ("bad", "[a]\n}\n"),
    ]);
    let rule = FinalRule::Since1_22;
    let profile = Profile::load(["none", "one", "two"], &files, rule).unwrap();
    assert_eq!(profile.value(["a", "s", "k"]), Some(&b"1"[..]));
    assert_eq!(profile.value(["a", "s", "l"]), Some(&b"3"[..]));
    assert_eq!(profile.relations(["a", "s", "i"]).len(), 2);
    // A name in two files is listed twice.
    assert_eq!(profile.subsections(["a"]).len(), 2);
    assert_eq!(profile.trees().len(), 2);
    // A mistake in any file stops everything; no file at all is an empty profile.
    assert!(Profile::load(["one", "bad"], &files, rule).is_err());
    assert_eq!(
        Profile::load(["none"], &files, rule)
            .unwrap()
            .value(["a", "s", "k"]),
        None
    );
}
