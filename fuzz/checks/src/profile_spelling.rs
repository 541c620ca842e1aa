//! A profile of chosen relations in a chosen spelling reads as these relations, at their lines, under both rules of finality.

#[path = "../../../crates/krb5-profile/tests/it/spelling.rs"]
mod spelling;

/// Checks any choices.
pub fn check(input: &[u8]) {
    spelling::check(input);
}
