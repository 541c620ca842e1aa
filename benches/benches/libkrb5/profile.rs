//! The profile library of MIT krb5 (`profile.h`), as it is installed: it stands in libkrb5.

use std::ffi::{CStr, c_char, c_long, c_void};
use std::path::Path;
use std::ptr;

type ProfileT = *mut c_void;

#[link(name = "krb5")]
unsafe extern "C" {
    fn profile_init_path(filelist: *const c_char, ret_profile: *mut ProfileT) -> c_long;
    fn profile_get_string(
        profile: ProfileT,
        name: *const c_char,
        subname: *const c_char,
        subsubname: *const c_char,
        def_val: *const c_char,
        ret_string: *mut *mut c_char,
    ) -> c_long;
    fn profile_release_string(string: *mut c_char);
    fn profile_release(profile: ProfileT);
}

/// Files that the library has read; dropped, they are read anew the next time.
pub(super) struct Profile(ProfileT);

impl Profile {
    /// Reads files, the first of them before the others.
    pub(super) fn load(files: &[impl AsRef<Path>]) -> Self {
        let files: Vec<_> = files
            .iter()
            .map(|file| file.as_ref().display().to_string())
            .collect();
        let list = std::ffi::CString::new(files.join(":")).unwrap_or_default();
        let mut profile = ptr::null_mut();
        // SAFETY: the list ends with NUL, and a profile is written only if there is no error.
        assert_eq!(unsafe { profile_init_path(list.as_ptr(), &raw mut profile) }, 0);
        Self(profile)
    }

    /// The length of the value at a path of three names.
    pub(super) fn value_length(&self, path: [&CStr; 3]) -> usize {
        let [section, subsection, name] = path.map(CStr::as_ptr);
        let mut value = ptr::null_mut();
        // SAFETY: the profile is open, the names end with NUL, and the value is the caller's to release.
        let code =
            unsafe { profile_get_string(self.0, section, subsection, name, ptr::null(), &raw mut value) };
        assert!(code == 0 && !value.is_null());
        // SAFETY: it is a string of C, not null, and released once, after its last use.
        unsafe {
            let length = CStr::from_ptr(value).count_bytes();
            profile_release_string(value);
            length
        }
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        // SAFETY: the profile is open, and nothing uses it after this.
        unsafe { profile_release(self.0) };
    }
}
