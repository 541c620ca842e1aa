//! The PSKC library of the OATH Toolkit.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

#[link(name = "pskc")]
unsafe extern "C" {
    fn pskc_global_init() -> c_int;
    fn pskc_init(container: *mut *mut c_void) -> c_int;
    fn pskc_done(container: *mut c_void);
    fn pskc_parse_from_memory(container: *mut c_void, len: usize, buffer: *const c_char) -> c_int;
    fn pskc_get_keypackage(container: *mut c_void, index: usize) -> *mut c_void;
    fn pskc_get_key_data_secret(key: *mut c_void, len: *mut usize) -> *const c_char;
}

/// Reads a container and the secret of each of its keys: how many octets they are in all.
pub(super) fn secrets(xml: &[u8]) -> usize {
    static ONCE: std::sync::Once = std::sync::Once::new();
    // SAFETY: takes nothing; to be called before the others.
    ONCE.call_once(|| assert_eq!(unsafe { pskc_global_init() }, 0));

    let mut container = ptr::null_mut();
    let mut octets = 0;
    // SAFETY: the document is `len` octets; packages and secrets are the container's, which lives until it is done
    // with, once; past the last package there is a null pointer.
    unsafe {
        assert_eq!(pskc_init(&raw mut container), 0);
        assert_eq!(
            pskc_parse_from_memory(container, xml.len(), xml.as_ptr().cast()),
            0
        );
        for index in 0.. {
            let key = pskc_get_keypackage(container, index);
            if key.is_null() {
                break;
            }
            let mut length = 0;
            assert!(!pskc_get_key_data_secret(key, &raw mut length).is_null());
            octets += length;
        }
        pskc_done(container);
    }
    octets
}
