//! What each fuzz target asserts. A check takes any octets and panics if a property does not hold.
//!
//! The fuzzer (`fuzz/fuzz_targets`) and the test that replays `fuzz/corpus` call the same functions, so that whatever
//! fuzzing has ever reached stays tested on a stable compiler.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "test code: a check fails by panicking"
)]

pub mod base32_decode;
pub mod chap;
pub mod credential;
pub mod csv_import;
pub mod daemon_config;
pub mod hex_decode;
pub mod kdc_otp_config;
pub mod otpauth_migration;
pub mod otpauth_uri;
pub mod principal;
pub mod profile;
pub mod profile_spelling;
pub mod profile_value;
pub mod pskc_date;
pub mod pskc_decode;
pub mod pskc_import;
pub mod radius11;
pub mod radius_attribute;
pub mod radius_client_server;
pub mod radius_decode;
pub mod radius_dictionary;
pub mod radius_request_auth;
pub mod radius_stream;
pub mod tunnel_attribute;
pub mod user_name;
pub mod user_password;
pub mod userstring;
pub mod userstring_spelling;
pub mod vendor_specific;

use arbitrary::{Arbitrary, Unstructured};

/// Reads a value out of `input` and hands it to `check`, as libFuzzer's own binding does: what is too short for any value
/// is no input.
fn structured<'a, T: Arbitrary<'a>>(input: &'a [u8], check: impl FnOnce(T)) {
    if input.len() < T::size_hint(0).0 {
        return;
    }
    if let Ok(value) = T::arbitrary_take_rest(Unstructured::new(input)) {
        check(value);
    }
}

/// A check and its name.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of the module, of the fuzz target and of the corpus.
    pub name: &'static str,
    /// Panics if a property does not hold for the input.
    pub check: fn(&[u8]),
}

/// Lists modules as targets.
macro_rules! targets {
    ($($module:ident),* $(,)?) => {
        /// Every target, sorted by name.
        pub const TARGETS: &[Target] = &[$(Target { name: stringify!($module), check: $module::check }),*];
    };
}

targets! {
    base32_decode,
    chap,
    credential,
    csv_import,
    daemon_config,
    hex_decode,
    kdc_otp_config,
    otpauth_migration,
    otpauth_uri,
    principal,
    profile,
    profile_spelling,
    profile_value,
    pskc_date,
    pskc_decode,
    pskc_import,
    radius11,
    radius_attribute,
    radius_client_server,
    radius_decode,
    radius_dictionary,
    radius_request_auth,
    radius_stream,
    tunnel_attribute,
    user_name,
    user_password,
    userstring,
    userstring_spelling,
    vendor_specific,
}
