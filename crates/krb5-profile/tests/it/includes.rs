//! `include` and `includedir`.

use std::io::ErrorKind;

use krb5_profile::{ConfigError, FileAccess as _, Filesystem, FinalRule, MemoryFiles, Profile};

fn load(files: &MemoryFiles, path: &str) -> Result<Profile, ConfigError> {
    Profile::load([path], files, FinalRule::Before1_22)
}

#[test]
fn an_included_file_is_syntactically_independent() {
    let files = MemoryFiles::from([
        ("/c", "[a]\n s = {\n  x = 1\ninclude /i\n  y = 2\n }\n"),
        ("/i", "ignored\n[b]\n z = 3\n t = {\n"),
    ]);
    let profile = load(&files, "/c").unwrap();
    assert_eq!(profile.value(["a", "s", "y"]), Some(&b"2"[..]));
    let z = profile.relation(["b", "z"]).unwrap();
    assert_eq!(z.position().to_string(), "/i:3");
    assert_eq!(profile.value(["b", "t", "y"]), None);
}

/// A directive can name anything but a line end, and an included file is named in positions.
#[test]
fn names_of_files_are_printable() {
    let name = "/a\u{2}\u{1b}[2Jb";
    let mut files = MemoryFiles::from([("/c", format!("include {name}\n"))]);
    assert_eq!(
        load(&files, "/c").unwrap_err().to_string(),
        "/c:1: cannot include /a\\u{2}\\u{1b}[2Jb: entity not found"
    );
    files.insert(name, "[a]\n}\n");
    assert_eq!(
        load(&files, "/c").unwrap_err().to_string(),
        "/a\\u{2}\\u{1b}[2Jb:2: a closing brace that closes nothing"
    );
}

#[test]
fn what_cannot_be_included_is_an_error() {
    let mut files = MemoryFiles::from([("/c", "include /none\n"), ("/d", "[a]\nincludedir /none\n")]);
    let missing = load(&files, "/c").unwrap_err();
    assert!(
        matches!(&missing, ConfigError::IncludeFile { kind: ErrorKind::NotFound, at, .. } if at.line() == 1)
    );
    assert_eq!(missing.code(), Some(-1_429_577_728 + 31));
    let missing = load(&files, "/d").unwrap_err();
    assert!(matches!(&missing, ConfigError::IncludeDirectory { at, .. } if at.line() == 2));
    assert_eq!(missing.code(), Some(-1_429_577_728 + 32));
    files.insert("/e", "include /f\n");
    files.insert("/f", "[a]\n}\n");
    assert_eq!(
        load(&files, "/e").unwrap_err().to_string(),
        "/f:2: a closing brace that closes nothing"
    );
}

/// The rest of the line is the name: no quotes, no home directory, no equals sign, and blanks at the end are its own.
#[test]
fn the_name_is_the_rest_of_the_line() {
    for (line, name) in [
        ("include /x", "/x"),
        ("include\t \t/x", "/x"),
        ("include /x ", "/x "),
        ("include /x\r", "/x"),
        ("include /a b", "/a b"),
        ("include = 3", "= 3"),
        ("include \"/x\"", "\"/x\""),
        ("include ~/x", "~/x"),
        ("include x", "x"),
    ] {
        for (before, after) in [("", ""), ("[a]\n s = {\n", " }\n"), ("[a]\n s =\n", "{\n }\n")] {
            let text = format!("{before}{line}\n{after}");
            let files = MemoryFiles::from([("/c", text.as_str()), (name, "[seen]\n f = 1\n")]);
            let profile = load(&files, "/c").unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert_eq!(profile.value(["seen", "f"]), Some(&b"1"[..]), "{text:?}");
        }
    }
    // Without a blank behind it, or not in the first column, it is no directive.
    for line in [
        "include",
        "includefile /x",
        "include=/x",
        "Include /x",
        " include /x",
    ] {
        let files = MemoryFiles::from([
            ("/c", format!("[a]\n{line}").as_str()),
            ("/x", "[seen]\n f = 1\n"),
        ]);
        match load(&files, "/c") {
            Ok(profile) => assert_eq!(profile.value(["seen", "f"]), None, "{line:?}"),
            Err(error) => assert!(
                matches!(error, ConfigError::RelationSyntax(_)),
                "{line:?}: {error}"
            ),
        }
    }
    let nothing = load(&MemoryFiles::from([("/c", "include\n")]), "/c").unwrap_err();
    assert_eq!(nothing.code(), Some(-1_429_577_728 + 31));
}

/// What may not be read is skipped while another file may; a syntax error in a later file is one of all.
#[test]
fn what_may_not_be_read_is_skipped_while_another_may() {
    struct Denied(MemoryFiles);
    impl krb5_profile::FileAccess for Denied {
        fn read(&self, path: &std::path::Path) -> std::io::Result<Vec<u8>> {
            if path.starts_with("/denied") {
                return Err(ErrorKind::PermissionDenied.into());
            }
            self.0.read(path)
        }
        fn list(&self, directory: &std::path::Path) -> std::io::Result<Vec<std::ffi::OsString>> {
            self.0.list(directory)
        }
        fn is_directory(&self, path: &std::path::Path) -> bool {
            self.0.is_directory(path)
        }
    }
    let files = Denied(MemoryFiles::from([("/a", "[a]\n f = 1\n"), ("/bad", "[a]\n}\n")]));
    let load = |list: &[&str]| Profile::load(list, &files, FinalRule::Since1_22);
    for list in [
        &["/denied", "/a"][..],
        &["/a", "/denied"],
        &["/none", "/a", "/denied/x"],
    ] {
        assert_eq!(load(list).unwrap().value(["a", "f"]), Some(&b"1"[..]), "{list:?}");
    }
    let denied = load(&["/none", "/denied"]).unwrap_err();
    assert!(matches!(
        denied,
        ConfigError::Read {
            kind: ErrorKind::PermissionDenied,
            ..
        }
    ));
    assert!(load(&["/a", "/bad"]).is_err());
    assert!(load(&["/none"]).unwrap().trees().is_empty());
}

#[test]
fn inclusion_is_bounded() {
    let mut files = MemoryFiles::from([("/c", "include /c\n"), ("/0", "include /1\ninclude /1\n")]);
    assert!(matches!(
        load(&files, "/c"),
        Err(ConfigError::IncludeLimit { .. })
    ));
    // No file includes itself here, and still there would be 2^20 of them.
    for number in 1..20 {
        let next = number + 1;
        files.insert(
            format!("/{number}"),
            format!("include /{next}\ninclude /{next}\n"),
        );
    }
    files.insert("/20", "[a]\n");
    let error = load(&files, "/0").unwrap_err();
    assert!(error.to_string().contains("4096 files"), "{error}");
    assert_eq!(error.code(), Some(-1_429_577_728 + 31));
}

#[test]
fn directories_hold_files_with_plain_names() {
    let mut files = MemoryFiles::from([("/c", "includedir /d\n"), ("/c2", "[x]\n")]);
    let names = [
        ("a", true),
        ("A-b_9", true),
        ("b.conf", true),
        ("x y.conf", true),
        ("a~", false),
        ("x y", false),
        ("q.ini", false),
        ("z.CONF", false),
        (".conf", false),
        (".a", false),
        ("c.conf.rpmsave", false),
    ];
    for (name, _) in names {
        files.insert(format!("/d/{name}"), format!("[a]\nf = {name}\n"));
    }
    // A subdirectory with an accepted name reads as an empty file.
    files.insert("/d/sub/file", "}");
    let mut expected: Vec<&[u8]> = names
        .iter()
        .filter(|(_, read)| *read)
        .map(|(name, _)| name.as_bytes())
        .collect();
    expected.sort_unstable();
    // The directory as a component of the search path is the same.
    for path in ["/c", "/d"] {
        let profile = load(&files, path).unwrap();
        let values: Vec<_> = profile
            .relations(["a", "f"])
            .iter()
            .map(|relation| relation.value())
            .collect();
        assert_eq!(values, expected, "{path}");
    }
}

#[test]
fn the_file_system_reads_as_the_c_library_does() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("krb5.conf"), "[a]\nf = 1\n").unwrap();
    std::fs::create_dir(path("d")).unwrap();
    assert_eq!(Filesystem.read(&path("d")).unwrap(), b"");
    assert!(Filesystem.is_directory(&path("d")) && !Filesystem.is_directory(&path("krb5.conf")));
    assert_eq!(Filesystem.list(directory.path()).unwrap().len(), 2);
    let profile = Profile::load(
        [path("none"), path("krb5.conf")],
        &Filesystem,
        FinalRule::Since1_22,
    )
    .unwrap();
    assert_eq!(profile.value(["a", "f"]), Some(&b"1"[..]));
    std::fs::File::create(path("huge"))
        .unwrap()
        .set_len(17 << 20)
        .unwrap();
    let huge = Profile::load([path("huge")], &Filesystem, FinalRule::Since1_22);
    assert!(matches!(
        huge,
        Err(ConfigError::Read {
            kind: ErrorKind::FileTooLarge,
            ..
        })
    ));
}
