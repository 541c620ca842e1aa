//! Which files a Kerberos program reads: `KRB5_CONFIG`, `KRB5_KDC_PROFILE`, and what they mean by default.

use std::path::{Path, PathBuf};

/// Splits the value of `KRB5_CONFIG` as libkrb5 does.
///
/// Components are divided by `:`. **An empty component ends the list**: of `A::B`, B is never read, and a leading `:`
/// means no files at all. `~/` at the start of a component is the home directory, if there is one.
///
/// ```
/// use std::path::{Path, PathBuf};
///
/// let home = Some(Path::new("/root"));
/// let files = krb5_profile::search_path("~/krb5.conf:/etc/krb5.conf::/never", home);
/// assert_eq!(files, [PathBuf::from("/root/krb5.conf"), PathBuf::from("/etc/krb5.conf")]);
/// ```
#[must_use]
pub fn search_path(krb5_config: &str, home: Option<&Path>) -> Vec<PathBuf> {
    krb5_config
        .split(':')
        .take_while(|component| !component.is_empty())
        .map(|component| expand(component, home))
        .collect()
}

/// The files of a KDC: one in front, `KRB5_KDC_PROFILE` or else `kdc.conf` of the KDC's directory, then those of
/// [`search_path`].
///
/// `KRB5_KDC_PROFILE` is not split; if it is set and empty, it ends the list before it begins.
///
/// ```
/// use std::path::{Path, PathBuf};
///
/// let files = krb5_profile::kdc_search_path(None, Path::new("/etc/krb5kdc"), "/etc/krb5.conf", None);
/// assert_eq!(files, [PathBuf::from("/etc/krb5kdc/kdc.conf"), PathBuf::from("/etc/krb5.conf")]);
/// ```
#[must_use]
pub fn kdc_search_path(
    krb5_kdc_profile: Option<&str>,
    kdc_dir: &Path,
    krb5_config: &str,
    home: Option<&Path>,
) -> Vec<PathBuf> {
    let first = match krb5_kdc_profile {
        Some("") => return Vec::new(),
        Some(profile) => expand(profile, home),
        None => kdc_dir.join("kdc.conf"),
    };
    let mut files = vec![first];
    files.extend(search_path(krb5_config, home));
    files
}

fn expand(component: &str, home: Option<&Path>) -> PathBuf {
    match (component.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(component),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_component_ends_the_list() {
        for (config, expected) in [
            ("/a", &["/a"][..]),
            ("/a:/b", &["/a", "/b"]),
            ("/a::/b", &["/a"]),
            ("/a:", &["/a"]),
            (":/a", &[]),
            ("", &[]),
            ("~/x:~y:~", &["/h/x", "~y", "~"]),
        ] {
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(search_path(config, Some(Path::new("/h"))), expected, "{config}");
        }
        assert_eq!(search_path("~/x", None), [PathBuf::from("~/x")]);
    }

    #[test]
    fn one_file_of_the_kdc_stands_in_front() {
        let files = |profile| kdc_search_path(profile, Path::new("/d"), "/a:/b", None);
        assert_eq!(files(None), ["/d/kdc.conf", "/a", "/b"].map(PathBuf::from));
        assert_eq!(files(Some("/x:/y")), ["/x:/y", "/a", "/b"].map(PathBuf::from));
        assert_eq!(files(Some("")), Vec::<PathBuf>::new());
    }
}
