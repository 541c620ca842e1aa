//! Files as libprofile reads or refuses them, in groups that list and include each other.

use std::path::Path;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Writes `count` groups of files below `root` and returns the lists of files to read, one a group.
pub fn write_groups(root: &Path, count: usize) -> Vec<[String; 2]> {
    let root = root.to_str().unwrap();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let group = prop::collection::vec(file(), 4);
    let write = |number| {
        let group = group.new_tree(&mut runner).unwrap().current();
        let place = format!("{root}/{number}");
        std::fs::create_dir_all(format!("{place}/dir")).unwrap();
        // A file that includes itself is a case of its own: libprofile would use up its descriptors.
        for (name, octets) in ["one", "two", "inc", "dir/x.conf"].iter().zip(&group) {
            let leaf = *name == "inc" || *name == "dir/x.conf";
            let at = if leaf {
                format!("{place}/leaf")
            } else {
                place.clone()
            };
            std::fs::write(format!("{place}/{name}"), replace_at(octets, &at)).unwrap();
        }
        std::fs::create_dir_all(format!("{place}/leaf/dir")).unwrap();
        std::fs::write(format!("{place}/leaf/inc"), "[a]\nleaf = 1\n[b]*\n").unwrap();
        std::fs::write(format!("{place}/leaf/dir/y"), "[a]\nleaf = 2\n").unwrap();
        std::fs::write(format!("{place}/dir/x~"), "[a]\nbackup = 1\n").unwrap();
        [format!("{place}/one"), format!("{place}/two")]
    };
    (0..count).map(write).collect()
}

/// A directory for tens of thousands of small files: in memory, where there is such a place.
pub fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    tempfile::tempdir_in(place).unwrap()
}

/// A line, or a fragment of one. `@` stands for the directory of the files.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let common = prop::sample::select(vec![
        "[a]\n",
        "[b]\n",
        "[a]*\n",
        "[ c ]\n",
        "[]\n",
        " [a]\n",
        "[a] x\n",
        "[x]]\n",
        "[a",
        "x = 1\n",
        "x = 2\n",
        "x* = 3\n",
        " y = z # w\n",
        "y=\"q\\n\\\"r\" s\n",
        "y = \"open\n",
        " x = {\n",
        "x= {  \n",
        "x* = {\n",
        "z =\n",
        " {\n",
        " { x = 1\n",
        "{\n",
        "}\n",
        " } *\n",
        "}*\n",
        "# comment\n",
        "; x\n",
        "\n",
        " \t\n",
        "\r\n",
        "=\n",
        "f o = x\n",
        "foo\n",
        "k*l = 1\n",
        "* = 1\n",
        "include @/inc\n",
        "include @/none\n",
        "include @/dir\n",
        "includedir @/dir\n",
        "includedir @/none\n",
        "include\n",
        "include \n",
        " include @/inc\n",
        "module\n",
        "x = {\r\n",
        "x = 1 \r\r\n",
        "\u{feff}[a]\n",
        "x = \u{e9}\n",
        "\x0b\x0cx\x0b=\x0c1\n",
        "= ",
        "x",
        " ",
        "*",
        "}",
        "\"",
        "\\",
        "[",
        "]",
        "x = {y\n",
        "y = \"{\"\n",
    ]);
    let long = (
        2030_usize..2060,
        any::<bool>(),
        prop::sample::select(vec!["", "x", "\n", "x = 1"]),
    )
        .prop_map(|(length, comment, tail)| {
            let mut line = if comment { b"#".to_vec() } else { b"x = ".to_vec() };
            line.resize(length, b'v');
            line.extend_from_slice(tail.as_bytes());
            line.push(b'\n');
            line
        });
    prop_oneof![
        40 => common.prop_map(|text| text.as_bytes().to_vec()),
        2 => long,
        2 => prop::collection::vec(any::<u8>(), 0..6),
    ]
}

/// One entry of a section: a relation, or a subsection with entries of its own.
fn entry() -> impl Strategy<Value = String> + Clone {
    let relation = prop::sample::select(vec![
        "x = 1\n",
        "x = 2\n",
        "y* = 3\n",
        "  y = \"a\\tb \" # c\n",
        "w\\ = \"\\b\\n\"\n",
        "# comment\n",
        "\n",
        "z* = \n{\n}\n",
        "include @/inc\n",
        "includedir @/dir\n",
    ]);
    relation
        .prop_map(str::to_owned)
        .prop_recursive(3, 12, 4, |inner| {
            let open = prop::sample::select(vec!["x = {\n", " y= {\n", "z* = {\n", "x =\n{ ignored\n"]);
            let close = prop::sample::select(vec!["}\n", " } x\n", "}*\n"]);
            (open, prop::collection::vec(inner, 0..4), close)
                .prop_map(|(open, entries, close)| [open, &entries.concat(), close].concat())
                .boxed()
        })
}

/// Files that are mostly well formed, so that queries have something to find.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let header = prop::sample::select(vec!["[a]\n", "[b]\n", "[a]*\n", "[c] \n"]);
    let section = (header, prop::collection::vec(entry(), 0..5))
        .prop_map(|(header, entries)| [header, &entries.concat()].concat().into_bytes())
        .boxed();
    let disturbed = (section.clone(), prop::collection::vec(fragment(), 0..4))
        .prop_map(|(section, fragments)| [section, fragments.concat()].concat());
    prop_oneof![
        8 => prop::collection::vec(section, 0..4).prop_map(|sections| sections.concat()),
        1 => disturbed,
        1 => prop::collection::vec(fragment(), 0..8).prop_map(|fragments| fragments.concat()),
    ]
}

fn replace_at(octets: &[u8], with: &str) -> Vec<u8> {
    octets
        .split(|octet| *octet == b'@')
        .collect::<Vec<_>>()
        .join(with.as_bytes())
}
