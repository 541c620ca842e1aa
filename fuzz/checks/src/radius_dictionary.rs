//! Dictionaries: the same attributes and values as a plain reading of the lines finds, where there are no blocks; with a
//! dictionary, any attribute is one line of a log, and what is in it is not longer than it.

use std::collections::BTreeMap;

use krad::{Attribute, AttributeType, dictionary::Dictionary};

use crate::structured;

/// Checks any dictionary with any attribute.
pub fn check(input: &[u8]) {
    structured(input, run);
}

fn run(input: (&str, u8, &[u8])) {
    let (text, kind, value) = input;
    let Ok(dictionary) = Dictionary::parse(text) else {
        return;
    };
    for definition in dictionary.iter() {
        assert_eq!(dictionary.by_oid(definition.oid.numbers()), Some(definition));
        let named = dictionary.by_name(&definition.name).expect("it has a name");
        assert_eq!(named.oid, definition.oid);
    }
    plainly(text, &dictionary);
    for warning in dictionary.warnings() {
        assert!(!warning.to_string().contains(char::is_control), "{warning}");
    }

    let attribute = Attribute {
        kind: AttributeType(kind),
        value,
    };
    let expanded = dictionary.expand(attribute);
    let octets: usize = expanded.iter().map(|found| found.value.len()).sum();
    assert!(octets <= value.len());
    let shown = dictionary.display(attribute).to_string();
    assert!(
        shown.contains(" = ") && !shown.contains(char::is_control),
        "{shown:?}"
    );
}

/// Names and numbers line by line, where no line changes what the others mean.
fn plainly(text: &str, dictionary: &Dictionary) {
    let lines = text.split('\n').map(|line| {
        line.split_ascii_whitespace()
            .take_while(|word| !word.starts_with('#'))
            .collect::<Vec<_>>()
    });
    let lines: Vec<Vec<&str>> = lines.filter(|words| !words.is_empty()).collect();
    let is_flat = |words: &Vec<&str>| {
        ["ATTRIBUTE", "VALUE"]
            .iter()
            .any(|keyword| words[0].eq_ignore_ascii_case(keyword))
            && words.len() == 4
            || words[0].eq_ignore_ascii_case("ATTRIBUTE") && words.len() == 3
    };
    if !lines.iter().all(is_flat) {
        return;
    }
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).expect("a number"),
        None => text.parse().expect("a number"),
    };
    let (mut attributes, mut values) = (BTreeMap::new(), Vec::new());
    for words in &lines {
        if words[0].eq_ignore_ascii_case("VALUE") {
            values.push((words[1], words[2], number(words[3])));
            continue;
        }
        let oid: Vec<u64> = words[2].split('.').map(number).collect();
        attributes.insert(oid.clone(), words[1]);
        let named = dictionary.by_name(words[1]).expect("it was defined");
        assert!(
            named
                .oid
                .numbers()
                .iter()
                .map(|number| u64::from(*number))
                .eq(oid)
        );
    }
    let listed = dictionary.iter().map(|definition| definition.name.as_str());
    assert!(
        listed.eq(attributes.into_values()),
        "the last name of each position, in their order"
    );
    let mut unknown = 0;
    for (attribute, name, number) in values {
        match dictionary.by_name(attribute) {
            Some(attribute) => {
                assert_eq!(dictionary.value_by_name(attribute, name), Some(number));
                let back = dictionary.value_name(attribute, number).expect("it was defined");
                assert_eq!(dictionary.value_by_name(attribute, back), Some(number));
            }
            None => unknown += 1,
        }
    }
    assert_eq!(dictionary.warnings().len(), unknown);
}
