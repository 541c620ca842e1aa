//! HOTP of the OATH Toolkit's C library.

use std::ffi::{CStr, c_char, c_int, c_uint};

#[link(name = "oath")]
unsafe extern "C" {
    fn oath_init() -> c_int;
    fn oath_hotp_generate(
        secret: *const c_char,
        secret_length: usize,
        moving_factor: u64,
        digits: c_uint,
        add_checksum: bool,
        truncation_offset: usize,
        output_otp: *mut c_char,
    ) -> c_int;
    fn oath_hotp_validate(
        secret: *const c_char,
        secret_length: usize,
        start_moving_factor: u64,
        window: usize,
        otp: *const c_char,
    ) -> c_int;
}

fn init() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    // SAFETY: takes nothing; to be called before the others.
    ONCE.call_once(|| assert_eq!(unsafe { oath_init() }, 0));
}

pub(super) fn generate(key: &[u8], counter: u64) -> [c_char; 7] {
    init();
    let mut code = [0; 7];
    // SAFETY: the key is `len` octets; six digits and the NUL fit into the buffer; SIZE_MAX asks for dynamic
    // truncation.
    let done = unsafe {
        oath_hotp_generate(
            key.as_ptr().cast(),
            key.len(),
            counter,
            6,
            false,
            usize::MAX,
            code.as_mut_ptr(),
        )
    };
    assert_eq!(done, 0);
    code
}

/// The place of the code in the window, or a negative number.
pub(super) fn validate(key: &[u8], first: u64, window: u32, code: &CStr) -> c_int {
    init();
    // SAFETY: the key is `len` octets, the code ends with NUL, and nothing is kept or written.
    unsafe {
        oath_hotp_validate(
            key.as_ptr().cast(),
            key.len(),
            first,
            window as usize,
            code.as_ptr(),
        )
    }
}
