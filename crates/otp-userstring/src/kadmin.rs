//! How to store a user string: commands for `kadmin` and `kadmin.local`.

use crate::{ATTRIBUTE, KadminError, UserString};

impl UserString {
    /// The line to type at the prompt of `kadmin` or `kadmin.local`, or to pass to `-q`.
    ///
    /// The prompt takes a double quote as the start or end of a quoted word, and two of them within such a word as one:
    /// without that, the quotes of the JSON text would be lost.
    ///
    /// ```
    /// use otp_userstring::{Token, UserString};
    ///
    /// let user_string = UserString::new([Token::default().with_type("otp")?])?;
    /// assert_eq!(user_string.kadmin_line("alice")?, r#"setstr alice otp "[{""type"":""otp""}]""#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`KadminError`] if the principal is empty or has control characters, or the text is too long to store.
    pub fn kadmin_line(&self, principal: &str) -> Result<String, KadminError> {
        let words = self.setstr(principal)?;
        Ok(words.map(|word| prompt_quoted(&word)).join(" "))
    }

    /// The command for a shell, as one line: `kadmin.local` in script mode.
    ///
    /// ```
    /// use otp_userstring::{Token, UserString};
    ///
    /// let user_string = UserString::new([Token::default().with_type("otp")?])?;
    /// assert_eq!(user_string.kadmin_command("alice")?, r#"kadmin.local setstr alice otp '[{"type":"otp"}]'"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`kadmin_line`](Self::kadmin_line).
    pub fn kadmin_command(&self, principal: &str) -> Result<String, KadminError> {
        Ok(self
            .kadmin_argv(principal)?
            .map(|word| shell_quoted(&word))
            .join(" "))
    }

    /// The same command as words, for a program that starts it without a shell.
    ///
    /// # Errors
    ///
    /// As for [`kadmin_line`](Self::kadmin_line).
    pub fn kadmin_argv(&self, principal: &str) -> Result<[String; 5], KadminError> {
        let [setstr, principal, attribute, json] = self.setstr(principal)?;
        Ok(["kadmin.local".to_owned(), setstr, principal, attribute, json])
    }

    fn setstr(&self, principal: &str) -> Result<[String; 4], KadminError> {
        if principal.is_empty() {
            return Err(KadminError::EmptyPrincipal);
        }
        if let Some((at, _)) = principal.char_indices().find(|(_, c)| c.is_control()) {
            return Err(KadminError::Control(at));
        }
        let json = self.to_json();
        if json.len() > Self::MAX_LENGTH {
            return Err(KadminError::TooLong(json.len()));
        }
        Ok([
            "setstr".to_owned(),
            principal.to_owned(),
            ATTRIBUTE.to_owned(),
            json,
        ])
    }
}

/// Quotes a word for the prompt: nothing but blanks and double quotes is special there.
fn prompt_quoted(word: &str) -> String {
    if word.contains(['"', ' ']) {
        format!("\"{}\"", word.replace('"', "\"\""))
    } else {
        word.to_owned()
    }
}

/// Quotes a word for a POSIX shell: nothing but the closing quote is special within single quotes.
fn shell_quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+:,./_-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Token;

    #[test]
    fn principals_are_quoted_where_they_have_to_be() {
        let user_string = UserString::default();
        let rows = [
            (
                "alice",
                r#"setstr alice otp [{}]"#,
                "kadmin.local setstr alice otp '[{}]'",
            ),
            (
                "HTTP/www.example.com@EXAMPLE.COM",
                "setstr HTTP/www.example.com@EXAMPLE.COM otp [{}]",
                "kadmin.local setstr HTTP/www.example.com@EXAMPLE.COM otp '[{}]'",
            ),
            (
                "two words",
                r#"setstr "two words" otp [{}]"#,
                "kadmin.local setstr 'two words' otp '[{}]'",
            ),
            (
                r#"a"b"#,
                r#"setstr "a""b" otp [{}]"#,
                r#"kadmin.local setstr 'a"b' otp '[{}]'"#,
            ),
            (
                "o'brien",
                "setstr o'brien otp [{}]",
                r"kadmin.local setstr 'o'\''brien' otp '[{}]'",
            ),
            (
                r"a\/b",
                r"setstr a\/b otp [{}]",
                r"kadmin.local setstr 'a\/b' otp '[{}]'",
            ),
            (
                "$(id)",
                "setstr $(id) otp [{}]",
                "kadmin.local setstr '$(id)' otp '[{}]'",
            ),
        ];
        for (principal, line, command) in rows {
            assert_eq!(user_string.kadmin_line(principal).as_deref(), Ok(line));
            assert_eq!(user_string.kadmin_command(principal).as_deref(), Ok(command));
        }
    }

    #[test]
    fn what_no_command_line_can_carry_is_refused() {
        let user_string = UserString::default();
        let rows = [
            ("", KadminError::EmptyPrincipal),
            ("alice\naddprinc -pw x eve", KadminError::Control(5)),
            ("a\tb", KadminError::Control(1)),
            ("a\0", KadminError::Control(1)),
            ("\u{7f}", KadminError::Control(0)),
        ];
        for (principal, expected) in rows {
            assert_eq!(user_string.kadmin_line(principal), Err(expected));
            assert_eq!(user_string.kadmin_command(principal), Err(expected));
            assert_eq!(user_string.kadmin_argv(principal), Err(expected));
        }
    }

    /// Raw octets are one octet each in the database, and six in the canonical form.
    #[test]
    fn what_the_database_cannot_store_is_refused() {
        let text = [br#"[{"type":""#.as_slice(), &[0xFF; 20_000], br#""}]"#].concat();
        let user_string = UserString::decode(&text).unwrap().user_string;
        assert_eq!(
            user_string.tokens(),
            [Token::default().with_type([0xFF; 20_000]).unwrap()]
        );
        assert_eq!(
            user_string.kadmin_line("alice"),
            Err(KadminError::TooLong(120_013))
        );
    }
}
