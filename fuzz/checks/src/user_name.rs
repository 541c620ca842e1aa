//! User names: what is a name is kept octet by octet, and everything that a user is looked up by is a name again: the
//! name itself first, then a part of it.

use otp_validation::UserName;

/// Checks any octets.
pub fn check(octets: &[u8]) {
    let name = UserName::parse(octets);
    let text = std::str::from_utf8(octets).ok();
    let is_name = text.is_some_and(|text| {
        let ends = [text.chars().next(), text.chars().next_back()];
        (1..=253).contains(&text.len())
            && !text.chars().any(char::is_control)
            && ends.iter().flatten().all(|end| !end.is_whitespace())
    });
    assert_eq!(name.is_ok(), is_name, "{name:?}");
    let Ok(name) = name else { return };
    assert_eq!(name.as_str().as_bytes(), octets);
    assert_eq!(name.to_string(), name.as_str());

    let candidates: Vec<UserName> = name.candidates().collect();
    assert_eq!(candidates[0], name);
    for candidate in &candidates {
        assert_eq!(
            UserName::parse(candidate.as_str().as_bytes()).as_ref(),
            Ok(candidate)
        );
    }
    let [_, bare] = candidates.as_slice() else {
        assert_eq!(candidates.len(), 1);
        return;
    };
    // What was left out is a realm and its separator, at one end.
    let (whole, bare) = (name.as_str(), bare.as_str());
    let realm = whole
        .strip_prefix(bare)
        .filter(|rest| rest.starts_with('@') && rest.matches('@').count() == 1);
    let domain = whole
        .strip_suffix(bare)
        .filter(|rest| rest.ends_with('\\') && rest.matches('\\').count() == 1);
    assert!(
        realm.is_some() || domain.is_some() && !whole.contains('@'),
        "{whole:?} {bare:?}"
    );
}
