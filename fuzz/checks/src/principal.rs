//! Principals: what is parsed is written in a form that parses as the same; any components and realm survive their
//! text; and a plain reading of the text from the right agrees.

use kdc_otp::Principal;

use crate::structured;

/// Checks any text and any components.
pub fn check(input: &[u8]) {
    text(input);
    structured(input, parts);
}

fn text(text: &[u8]) {
    let realm = b"EXAMPLE.COM";
    let parsed = Principal::parse(text, Some(realm));
    let without = Principal::parse(text, None);
    let plain = plainly(text);
    assert_eq!(parsed.is_ok(), plain.is_some(), "{parsed:?}");
    let (Ok(principal), Some((components, own_realm))) = (parsed, plain) else {
        assert!(without.is_err(), "a default realm mends nothing else");
        return;
    };
    assert!(principal.components().eq(components.iter().map(Vec::as_slice)));
    assert_eq!(principal.realm(), own_realm.as_deref().unwrap_or(realm));
    // Without a default realm, the text has to have one.
    assert_eq!(without.is_ok(), own_realm.is_some());
    same_again(&principal);
}

fn parts(input: (Vec<Vec<u8>>, &[u8])) {
    let (components, realm) = input;
    let principal = Principal::new(components.iter().cloned(), realm);
    assert!(principal.components().eq(components.iter().map(Vec::as_slice)));
    if !components.is_empty() {
        same_again(&principal);
    }
}

fn same_again(principal: &Principal) {
    let text = principal.unparse();
    assert_eq!(Principal::parse(&text, None).as_ref(), Ok(principal));
    // Without the realm, only '@' stands for itself, which a text with a realm would not allow.
    let name = principal.unparse_without_realm();
    if !name.contains(&b'@') {
        assert_eq!(
            Principal::parse(&name, Some(principal.realm())).as_ref(),
            Ok(principal)
        );
        assert!(text.starts_with(&name));
    }
}

/// Components, and the realm if there is one.
type Parts = (Vec<Vec<u8>>, Option<Vec<u8>>);

/// The same by another way: separators are found first, then what is between them is unquoted.
fn plainly(text: &[u8]) -> Option<Parts> {
    // A separator is one that an even number of backslashes precedes.
    let is_quoted = |at: usize| {
        !text[..at]
            .iter()
            .rev()
            .take_while(|octet| **octet == b'\\')
            .count()
            .is_multiple_of(2)
    };
    if text.contains(&0) || is_quoted(text.len()) {
        return None;
    }
    let separators: Vec<usize> = (0..text.len())
        .filter(|at| matches!(text[*at], b'/' | b'@') && !is_quoted(*at))
        .collect();
    // The first '@' is the last separator.
    let at = separators.iter().position(|at| text[*at] == b'@');
    if at.is_some_and(|at| at + 1 != separators.len()) {
        return None;
    }
    let mut parts = Vec::new();
    let mut from = 0;
    for to in separators.iter().copied().chain([text.len()]) {
        parts.push(unquoted(&text[from..to]));
        from = to + 1;
    }
    let realm = at.and_then(|_| parts.pop());
    Some((parts, realm))
}

fn unquoted(text: &[u8]) -> Vec<u8> {
    let mut octets = text.iter();
    let mut unquoted = Vec::new();
    while let Some(octet) = octets.next() {
        unquoted.push(match octet {
            b'\\' => match octets.next() {
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'b') => 8,
                Some(b'0') => 0,
                Some(other) => *other,
                None => unreachable!("a backslash quotes something"),
            },
            other => *other,
        });
    }
    unquoted
}
