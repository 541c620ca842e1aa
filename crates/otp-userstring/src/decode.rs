//! From a stored value to tokens, as the KDC reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::str;

use crate::json::{self, Member, Node, Value, until_nul};
use crate::{DecodeError, Field, Token, UserString, Warning, WarningKind};

/// A value that a KDC accepts, and what it makes of the odd parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The tokens as the KDC sees them.
    pub user_string: UserString,
    /// What its author may not have meant, in the order of the text.
    pub warnings: Vec<Warning>,
}

impl UserString {
    /// Decodes the value of the attribute as the KDC does.
    ///
    /// The KDC converts all tokens before it asks any server, so one bad token makes all of them useless. Whether the
    /// types exist, only the `[otp]` section tells.
    ///
    /// ```
    /// use otp_userstring::{Effect, UserString};
    ///
    /// let decoded = UserString::decode(br#"[{"Type": "vpn"}]"#)?;
    /// assert_eq!(decoded.user_string.to_json(), "[{}]"); // keys are case-sensitive
    /// assert_eq!(decoded.warnings[0].kind.effect(), Effect::Altered);
    /// # Ok::<(), otp_userstring::DecodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`DecodeError`] with the offset of the octet that does not fit.
    pub fn decode(octets: &[u8]) -> Result<Decoded, DecodeError> {
        if octets.len() > Self::MAX_LENGTH {
            return Err(DecodeError::TooLong(octets.len()));
        }
        let text = until_nul(octets);
        if text.iter().all(json::is_blank) {
            return Err(DecodeError::Empty);
        }
        let node = json::decode(text)?;
        let Value::Array(items) = &node.value else {
            return Err(DecodeError::NotAnArray { at: node.at });
        };

        let mut warnings = Vec::new();
        let mut tokens = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            tokens.push(
                Reader {
                    token: index,
                    warnings: &mut warnings,
                }
                .token(item)?,
            );
        }
        warn_of_repeated_tokens(&tokens, items, &mut warnings);
        let user_string = Self::from_tokens(tokens).unwrap_or_else(|| {
            warnings.push(Warning {
                token: None,
                at: node.at,
                kind: WarningKind::NoTokens,
            });
            Self::default()
        });
        if text.len() < octets.len() {
            warnings.push(Warning {
                token: None,
                at: text.len(),
                kind: WarningKind::TextAfterNul,
            });
        }
        warnings.sort_by_key(|warning| warning.at);
        Ok(Decoded {
            user_string,
            warnings,
        })
    }
}

/// Two tokens of the same type and username ask the same server about the same user.
fn warn_of_repeated_tokens(tokens: &[Token], items: &[Node], warnings: &mut Vec<Warning>) {
    let mut first_with = BTreeMap::new();
    for (index, (token, item)) in tokens.iter().zip(items).enumerate() {
        let first = *first_with
            .entry((token.effective_type(), token.username()))
            .or_insert(index);
        if first != index {
            let kind = WarningKind::RepeatedToken(first);
            warnings.push(Warning {
                token: Some(index),
                at: item.at,
                kind,
            });
        }
    }
}

/// Reads one token and collects warnings about it.
struct Reader<'w> {
    token: usize,
    warnings: &'w mut Vec<Warning>,
}

impl Reader<'_> {
    fn warn(&mut self, at: usize, kind: WarningKind) {
        self.warnings.push(Warning {
            token: Some(self.token),
            at,
            kind,
        });
    }

    fn token(mut self, Node { at, value }: &Node) -> Result<Token, DecodeError> {
        let Value::Object(members) = value else {
            return Err(DecodeError::NotAnObject {
                token: self.token,
                at: *at,
            });
        };
        for member in members {
            self.check_key(member);
        }
        Ok(Token {
            token_type: self
                .last(members, Field::Type)
                .and_then(|node| self.token_type(node)),
            username: self
                .last(members, Field::Username)
                .and_then(|node| self.username(node)),
            indicators: self
                .last(members, Field::Indicators)
                .map(|node| self.indicators(node))
                .transpose()?,
        })
    }

    /// The value that counts among those of the same key: the last one.
    fn last<'m>(&mut self, members: &'m [Member], field: Field) -> Option<&'m Node> {
        let mut last: Option<&Member> = None;
        for member in members
            .iter()
            .filter(|member| until_nul(&member.key) == field.as_str().as_bytes())
        {
            if let Some(earlier) = last.replace(member) {
                self.warn(earlier.at, WarningKind::DuplicateKey(field));
            }
        }
        last.map(|member| &member.node)
    }

    fn check_key(&mut self, Member { at, key, .. }: &Member) {
        let seen = until_nul(key);
        if seen.len() < key.len() {
            self.warn(*at, WarningKind::CutAtNul);
        }
        if Field::ALL.iter().any(|field| field.as_str().as_bytes() == seen) {
            return;
        }
        self.warn(
            *at,
            match resembles(seen) {
                Some(field) => WarningKind::MisspeltKey(seen.to_vec(), field),
                None => WarningKind::UnknownKey(seen.to_vec()),
            },
        );
    }

    fn token_type(&mut self, node: &Node) -> Option<Vec<u8>> {
        let name = self.string(node);
        match &name {
            None => self.warn(node.at, WarningKind::TypeNotString),
            Some(name) => self.check_utf8(node.at, name, Field::Type),
        }
        name
    }

    fn username(&mut self, node: &Node) -> Option<Vec<u8>> {
        let name = self.string(node);
        match &name {
            None => self.warn(node.at, WarningKind::UsernameNotString),
            Some(name) => {
                match name.len() {
                    0 => self.warn(node.at, WarningKind::UsernameEmpty),
                    1..=Token::MAX_USERNAME => {}
                    length => self.warn(node.at, WarningKind::UsernameTooLong(length)),
                }
                self.check_utf8(node.at, name, Field::Username);
            }
        }
        name
    }

    fn indicators(&mut self, node: &Node) -> Result<Vec<Vec<u8>>, DecodeError> {
        let mismatch = |at| DecodeError::Indicators {
            token: self.token,
            at,
        };
        let Value::Array(items) = &node.value else {
            return Err(mismatch(node.at));
        };
        if let Some(other) = items.iter().find(|item| !matches!(item.value, Value::String(_))) {
            return Err(mismatch(other.at));
        }
        if items.is_empty() {
            self.warn(node.at, WarningKind::NoIndicators);
        }
        let mut seen = BTreeSet::new();
        let mut indicators = Vec::with_capacity(items.len());
        for item in items {
            let indicator = self.string(item).unwrap_or_default();
            self.check_utf8(item.at, &indicator, Field::Indicators);
            if indicator.is_empty() {
                self.warn(item.at, WarningKind::EmptyIndicator);
            }
            indicators.push(indicator);
        }
        for (indicator, item) in indicators.iter().zip(items) {
            if !seen.insert(indicator) {
                self.warn(item.at, WarningKind::RepeatedIndicator);
            }
        }
        Ok(indicators)
    }

    /// The string that the KDC sees; `None` if the value is not a string.
    fn string(&mut self, node: &Node) -> Option<Vec<u8>> {
        let Value::String(octets) = &node.value else {
            return None;
        };
        let seen = until_nul(octets);
        if seen.len() < octets.len() {
            self.warn(node.at, WarningKind::CutAtNul);
        }
        Some(seen.to_vec())
    }

    fn check_utf8(&mut self, at: usize, octets: &[u8], field: Field) {
        if str::from_utf8(octets).is_err() {
            self.warn(at, WarningKind::NotUtf8(field));
        }
    }
}

/// The key that the author of an unknown key may have meant.
fn resembles(key: &[u8]) -> Option<Field> {
    let letters: Vec<u8> = key
        .iter()
        .filter(|octet| octet.is_ascii_alphabetic())
        .map(u8::to_ascii_lowercase)
        .collect();
    match letters.as_slice() {
        b"type" | b"tokentype" => Some(Field::Type),
        b"username" | b"user" | b"name" => Some(Field::Username),
        b"indicators" | b"indicator" => Some(Field::Indicators),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
