//! Any octets as a profile: no panic, and what can be written reads back as the same tree.

use krb5_profile::{FinalRule, Profile, Section};

/// Checks any file.
pub fn check(octets: &[u8]) {
    for rule in [FinalRule::Before1_22, FinalRule::Since1_22] {
        let Ok(profile) = Profile::parse("fuzz", octets, rule) else {
            continue;
        };
        for tree in profile.trees() {
            let Ok(written) = tree.to_octets() else { continue };
            let again = Profile::parse("fuzz", &written, rule).expect("what was written is well formed");
            same(tree.root(), again.trees()[0].root(), 0);
        }
        // Queries see the relations that the tree has.
        let top: [&[u8]; 0] = [];
        for section in profile.subsections(top) {
            for relation in section.relations() {
                let path = [section.name(), relation.name()];
                assert!(profile.relations(path).contains(&relation));
            }
        }
    }
}

fn same(a: Section<'_>, b: Section<'_>, depth: usize) {
    assert_eq!((a.name(), a.is_final()), (b.name(), b.is_final()));
    assert!(a.relations().map(key).eq(b.relations().map(key)));
    assert_eq!(a.sections().count(), b.sections().count());
    // The comparison recurses; the crate does not.
    if depth < 100 {
        a.sections()
            .zip(b.sections())
            .for_each(|(a, b)| same(a, b, depth + 1));
    }
}

fn key(relation: &krb5_profile::Relation) -> (&[u8], &[u8], bool) {
    (relation.name(), relation.value(), relation.is_final())
}
