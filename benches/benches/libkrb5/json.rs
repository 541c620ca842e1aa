//! The JSON library of MIT krb5, with which a KDC reads a user string: it stands in libkrb5support.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

#[link(name = "krb5support")]
unsafe extern "C" {
    fn k5_json_decode(text: *const c_char, value_out: *mut *mut c_void) -> c_int;
    fn k5_json_release(value: *mut c_void);
}

/// Reads a text and throws the values away; says whether it is JSON.
pub(super) fn decode(text: &CStr) -> bool {
    let mut value = ptr::null_mut();
    // SAFETY: the text ends with NUL; a value is written only if there is no error, and is then released once.
    unsafe {
        let code = k5_json_decode(text.as_ptr(), &raw mut value);
        if code == 0 {
            k5_json_release(value);
        }
        code == 0
    }
}
