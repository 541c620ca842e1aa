//! Tokens in any spelling that the dialect allows. Octets choose the tokens and how they are spelled; what is decoded has
//! to be the tokens. A property test draws the octets, and a fuzz target grows them.

use otp_userstring::{DecodeError, UserString, json};

/// A token as the KDC should see it.
#[derive(Debug, Default, PartialEq)]
struct Expected {
    token_type: Option<Vec<u8>>,
    username: Option<Vec<u8>>,
    indicators: Option<Vec<Vec<u8>>>,
}

/// What is wrong with the text as a whole, if anything is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mistake {
    Indicators,
    NotAnObject,
}

/// Makes a user string of `choices`, decodes it, and compares.
pub fn check(choices: &[u8]) {
    let mut speller = Speller {
        choices: choices.iter(),
        text: Vec::new(),
        mistake: None,
    };
    let expected = speller.user_string();
    let Speller { text, mistake, .. } = speller;
    if text.len() > UserString::MAX_LENGTH {
        assert_eq!(UserString::decode(&text), Err(DecodeError::TooLong(text.len())));
        return;
    }
    let shown = || text.escape_ascii().to_string();
    json::decode(&text).unwrap_or_else(|error| panic!("{error}: {}", shown()));
    match (UserString::decode(&text), mistake) {
        (Ok(decoded), None) => {
            let tokens: Vec<_> = decoded
                .user_string
                .tokens()
                .iter()
                .map(|token| Expected {
                    token_type: token.token_type().map(<[u8]>::to_vec),
                    username: token.username().map(<[u8]>::to_vec),
                    indicators: token.indicators().map(<[_]>::to_vec),
                })
                .collect();
            assert_eq!(tokens, expected, "{}", shown());
            assert!(
                decoded.warnings.iter().all(|warning| warning.at < text.len()),
                "{}",
                shown()
            );
            let canonical = decoded.user_string.to_json();
            assert!(canonical.bytes().all(|octet| (b' '..=b'~').contains(&octet)));
            if canonical.len() <= UserString::MAX_LENGTH {
                let again = UserString::decode(canonical.as_bytes()).unwrap();
                assert_eq!(again.user_string, decoded.user_string);
            }
        }
        (Err(DecodeError::Indicators { at, .. }), Some(Mistake::Indicators))
        | (Err(DecodeError::NotAnObject { at, .. }), Some(Mistake::NotAnObject)) => {
            assert!(at < text.len(), "{}", shown());
        }
        (result, mistake) => panic!("{result:?}, but {mistake:?}: {}", shown()),
    }
    // What is cut off anywhere is refused.
    let end = text.iter().rposition(|octet| *octet == b']').unwrap();
    let cut = choices.iter().fold(7_usize, |hash, octet| {
        hash.wrapping_mul(31).wrapping_add((*octet).into())
    });
    assert!(
        UserString::decode(&text[..cut % (end + 1)]).is_err(),
        "{}",
        shown()
    );
}

struct Speller<'c> {
    /// Zeros follow the last one, so that everything ends.
    choices: std::slice::Iter<'c, u8>,
    text: Vec<u8>,
    /// The first one: it is what the decoder reports.
    mistake: Option<Mistake>,
}

impl Speller<'_> {
    fn octet(&mut self) -> u8 {
        self.choices.next().copied().unwrap_or_default()
    }

    fn below(&mut self, bound: u8) -> u8 {
        self.octet() % bound
    }

    fn write(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
    }

    fn blanks(&mut self) {
        for _ in 0..self.below(8).saturating_sub(5) {
            let blank = b" \t\r\n"[usize::from(self.below(4))];
            self.text.push(blank);
        }
    }

    /// Items between brackets, with commas; each of them is written by `item`.
    fn list(&mut self, brackets: [&[u8]; 2], length: u8, mut item: impl FnMut(&mut Self)) {
        self.write(brackets[0]);
        for index in 0..length {
            if index > 0 {
                self.write(b",");
            }
            self.blanks();
            item(self);
            self.blanks();
        }
        if length == 0 {
            self.blanks();
        }
        self.write(brackets[1]);
    }

    fn user_string(&mut self) -> Vec<Expected> {
        let mut tokens = Vec::new();
        self.blanks();
        let length = self.below(5);
        self.list([b"[", b"]"], length, |speller| {
            if speller.below(32) == 31 {
                speller.mistake = speller.mistake.or(Some(Mistake::NotAnObject));
                speller.scalar();
            } else {
                tokens.push(speller.token());
            }
        });
        self.blanks();
        if tokens.is_empty() {
            tokens.push(Expected::default());
        }
        tokens
    }

    fn token(&mut self) -> Expected {
        let mut token = Expected::default();
        let mut wrong_indicators = false;
        let length = self.below(6);
        self.list([b"{", b"}"], length, |speller| {
            let known: &[u8] =
                [&b"type"[..], b"username", b"indicators", b"x"][usize::from(speller.below(4))];
            let key = if known == b"x" {
                speller.string()
            } else {
                speller.spell(known);
                known.to_vec()
            };
            speller.blanks();
            speller.write(b":");
            speller.blanks();
            match key.as_slice() {
                b"type" => token.token_type = speller.string_or_other(),
                b"username" => token.username = speller.string_or_other(),
                b"indicators" => {
                    token.indicators = speller.indicators();
                    wrong_indicators = token.indicators.is_none();
                }
                _ => speller.value(0),
            }
        });
        // Only the last of equal keys counts, and mistakes of earlier tokens come first.
        if wrong_indicators {
            self.mistake = self.mistake.or(Some(Mistake::Indicators));
        }
        token
    }

    /// A string, which counts, or something else, which does not.
    fn string_or_other(&mut self) -> Option<Vec<u8>> {
        if self.below(4) == 3 {
            self.other_than_string();
            return None;
        }
        Some(self.string())
    }

    fn other_than_string(&mut self) {
        match self.below(3) {
            0 => self.scalar(),
            1 => self.list([b"[", b"]"], 0, |_| {}),
            _ => self.list([b"{", b"}"], 0, |_| {}),
        }
    }

    /// An array of strings; `None` if it is none.
    fn indicators(&mut self) -> Option<Vec<Vec<u8>>> {
        if self.below(16) == 15 {
            self.scalar();
            return None;
        }
        let mut indicators = Some(Vec::new());
        let length = self.below(4);
        self.list([b"[", b"]"], length, |speller| {
            if speller.below(32) == 31 {
                speller.other_than_string();
                indicators = None;
            } else {
                let indicator = speller.string();
                if let Some(indicators) = &mut indicators {
                    indicators.push(indicator);
                }
            }
        });
        indicators
    }

    /// Any octets as a string; what a reader of C strings sees of it.
    fn string(&mut self) -> Vec<u8> {
        let octets: Vec<u8> = (0..self.below(12)).map(|_| self.octet()).collect();
        self.spell(&octets);
        octets.into_iter().take_while(|octet| *octet != 0).collect()
    }

    fn spell(&mut self, octets: &[u8]) {
        self.write(b"\"");
        for &octet in octets {
            let short = match octet {
                b'"' | b'\\' | b'/' => octet,
                0x08 => b'b',
                0x0C => b'f',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                _ => 0,
            };
            match self.below(8) {
                0 if short != 0 => self.write(&[b'\\', short]),
                1 => self.write(format!("\\u{octet:04X}").as_bytes()),
                // Two cannot stand for themselves, and a NUL would end the text.
                _ if matches!(octet, b'"' | b'\\') => self.write(&[b'\\', octet]),
                _ if octet == 0 => self.write(b"\\u0000"),
                _ => self.write(&[octet]),
            }
        }
        self.write(b"\"");
    }

    fn scalar(&mut self) {
        let scalars: [&[u8]; 8] = [
            b"null",
            b"true",
            b"false",
            b"0",
            b"-0",
            b"007",
            b"9223372036854775807",
            b"-9223372036854775808",
        ];
        let scalar = scalars[usize::from(self.below(8))];
        self.write(scalar);
    }

    /// Anything, as deep as it may be.
    fn value(&mut self, depth: u8) {
        match self.below(6) {
            0 | 1 => self.scalar(),
            2 => drop(self.string()),
            // Two containers are open already.
            3..=5 if usize::from(depth) + 2 >= json::MAX_DEPTH => self.scalar(),
            3 | 4 => {
                let length = self.below(4);
                self.list([b"[", b"]"], length, |speller| speller.value(depth + 1));
            }
            _ => {
                let length = self.below(3);
                self.list([b"{", b"}"], length, |speller| {
                    drop(speller.string());
                    speller.write(b":");
                    speller.value(depth + 1);
                });
            }
        }
    }
}
