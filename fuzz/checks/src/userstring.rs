//! User strings: any octets are one or an error; one survives its canonical form, and the lines that store it say the
//! same to a reader of words at the prompt of `kadmin` and to one of POSIX shells.

use otp_userstring::{UserString, json};

/// Checks any octets.
pub fn check(octets: &[u8]) {
    if let Ok(node) = json::decode(octets) {
        let canonical = node.value.to_string();
        let again = json::decode(canonical.as_bytes())
            .expect("canonical JSON decodes")
            .value;
        assert_eq!(again.to_string(), canonical);
    }
    let Ok(decoded) = UserString::decode(octets) else {
        return;
    };
    assert!(decoded.warnings.iter().all(|warning| warning.at <= octets.len()));
    let canonical = decoded.user_string.to_json();
    if canonical.len() <= UserString::MAX_LENGTH {
        let again = UserString::decode(canonical.as_bytes()).expect("canonical form decodes");
        assert_eq!(again.user_string, decoded.user_string);
    }
    // A prefix of the canonical form is never a user string.
    if let Some(prefix) = canonical.as_bytes().get(..octets.len() % canonical.len()) {
        assert!(UserString::decode(prefix).is_err());
    }
    for principal in ["alice@EXAMPLE.COM", "al ice", "al\"ice\"", "al'ice", "\"\" ''"] {
        kadmin(&decoded.user_string, principal, &canonical);
    }
}

fn kadmin(user_string: &UserString, principal: &str, canonical: &str) {
    let line = user_string.kadmin_line(principal);
    assert_eq!(line.is_ok(), canonical.len() <= UserString::MAX_LENGTH);
    let Ok(line) = line else { return };
    let words = ["setstr", principal, "otp", canonical];
    assert_eq!(prompt_words(&line), words);
    let command = user_string.kadmin_command(principal).expect("as the line");
    assert_eq!(shell_words(&command)[1..], words);
    let argv = user_string.kadmin_argv(principal).expect("as the line");
    assert_eq!(argv[1..], words);
}

/// Blanks divide words; a double quote begins and ends what is quoted, where two of them are one.
fn prompt_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted) = (None::<String>, false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => word.get_or_insert_default().push('"'),
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' | '\t' if !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    assert!(!quoted, "every quote is closed");
    words.extend(word);
    words
}

/// Blanks divide words; everything between single quotes is as it is; a backslash quotes one character.
fn shell_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\'' => {
                let quoted = characters.by_ref().take_while(|character| *character != '\'');
                word.get_or_insert_default().extend(quoted);
            }
            '\\' => word.get_or_insert_default().extend(characters.next()),
            ' ' => words.extend(word.take()),
            plain => {
                assert!(
                    plain.is_ascii_alphanumeric() || "@%+:,./_-".contains(plain),
                    "{plain:?} is special"
                );
                word.get_or_insert_default().push(plain);
            }
        }
    }
    words.extend(word);
    words
}
