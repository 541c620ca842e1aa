//! Chosen tokens in a chosen spelling read as these tokens, and no part of the text is a user string.

#[path = "../../../crates/otp-userstring/tests/it/spelling.rs"]
mod spelling;

/// Checks any choices.
pub fn check(input: &[u8]) {
    spelling::check(input);
}
