//! The dictionaries that FreeRADIUS brings along, from Debian's freeradius-common.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use krad::{
    AttributeType,
    dictionary::{Dictionary, DictionaryFiles, DictionaryProblem, DictionarySource},
};

const DIRECTORY: &str = "/usr/share/freeradius";

fn master() -> PathBuf {
    let path = Path::new(DIRECTORY).join("dictionary");
    assert!(
        path.exists(),
        "{path:?} is missing; install it: apt-get install freeradius-common"
    );
    path
}

pub fn freeradius() -> &'static Dictionary {
    static FREERADIUS: LazyLock<Dictionary> =
        LazyLock::new(|| Dictionary::load(master(), &DictionaryFiles).unwrap());
    &FREERADIUS
}

/// The file system, and which files were read.
#[derive(Default)]
struct Reading(RefCell<BTreeSet<PathBuf>>);

impl DictionarySource for Reading {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.borrow_mut().insert(path.to_owned());
        DictionaryFiles.read(path)
    }
}

#[test]
fn every_file_parses() {
    let source = Reading::default();
    let mut all = Dictionary::load(master(), &source).unwrap();
    assert!(all.iter().count() > 7_000 && all.vendors().count() > 150);
    assert!(all.warnings().is_empty(), "{:?}", all.warnings());
    let files = fs::read_dir(DIRECTORY)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files: BTreeSet<PathBuf> = files.collect();
    let included = source.0.take();
    assert!(included.len() > 150 && included.is_subset(&files));
    let mut conflicts = Vec::new();
    for file in files.difference(&included) {
        if let Err(error) = all.include(file, &DictionaryFiles) {
            // Two names clash, and FreeRADIUS does not take the two together either: each is right alone.
            let conflict = matches!(error.problem(), DictionaryProblem::Conflict { .. });
            assert!(conflict, "{error}");
            conflicts.push(file.extension().unwrap().to_str().unwrap().to_owned());
            Dictionary::core()
                .clone()
                .include(file, &DictionaryFiles)
                .unwrap();
        }
    }
    assert_eq!(conflicts, ["openser", "rfc5090", "alvarion"]);
}

#[test]
fn vendors_layouts_and_nesting() {
    let master = freeradius();
    for (name, oid) in [
        ("User-Name", &[1][..]),
        ("Cisco-AVPair", &[26, 9, 1]),
        ("WiMAX-Release", &[26, 24757, 1, 1]),
        ("WiMAX-QoS-Id", &[26, 24757, 29, 1]),
        ("Lucent-Max-Shared-Users", &[26, 4846, 2]),
        ("Extended-Vendor-Specific-5", &[245, 26]),
        ("Original-Packet-Code", &[241, 4]),
    ] {
        let definition = master.by_name(&name.to_ascii_uppercase()).unwrap();
        assert_eq!((definition.name.as_str(), definition.oid.numbers()), (name, oid));
        assert_eq!(
            master.by_oid(oid).map(|definition| definition.oid.numbers()),
            Some(oid)
        );
    }
    let vendor = |name| master.vendor_by_name(name).unwrap();
    for (name, id, format) in [
        ("Cisco", 9, (1, 1, false)),
        ("USR", 429, (4, 0, false)),
        ("WiMAX", 24757, (1, 1, true)),
    ] {
        let format = krad::VendorFormat::new(format.0, format.1, format.2).unwrap();
        assert_eq!((vendor(name).id.0, vendor(name).format), (id, format));
    }
}

/// Names, numbers, types and values of our own dictionary are those that administrators know.
#[test]
fn the_core_agrees() {
    let (core, master) = (Dictionary::core(), freeradius());
    assert!(core.warnings().is_empty());
    let mut values = 0;
    for ours in core.iter() {
        let theirs = master
            .by_name(&ours.name)
            .unwrap_or_else(|| panic!("{}", ours.name));
        assert_eq!(ours.oid, theirs.oid, "{}", ours.name);
        assert_eq!(ours.length, theirs.length, "{}", ours.name);
        assert_eq!(ours.flags.has_tag, theirs.flags.has_tag, "{}", ours.name);
        assert_eq!(ours.flags.encryption, theirs.flags.encryption, "{}", ours.name);
        // RFC 2869 §5.14 has octets.
        assert!(
            ours.data_type == theirs.data_type || ours.name == "ARAP-Security-Data",
            "{}",
            ours.name
        );
        for number in 0..1_000 {
            if let Some(name) = core.value_name(ours, number) {
                assert_eq!(
                    master.value_by_name(theirs, name),
                    Some(number),
                    "{} {name}",
                    ours.name
                );
                values += 1;
            }
        }
    }
    assert!(values > 150, "{values}");
}

#[test]
fn the_core_has_every_named_type() {
    for kind in (0..=u8::MAX)
        .map(AttributeType)
        .filter(|kind| kind.name().is_some())
    {
        let definition = Dictionary::core()
            .by_type(kind)
            .unwrap_or_else(|| panic!("{kind}"));
        assert_eq!(Some(definition.name.as_str()), kind.name());
    }
}
