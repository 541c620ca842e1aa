//! On what the benchmarks ran.

use std::fs;

use crate::machine::output;
use crate::packages::BENCHED;

/// The machine, the compiler and the C libraries.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Host {
    /// The processor's name, as Linux tells it.
    pub(super) model: String,
    /// How many cores the benchmarks could use.
    pub(super) cores: usize,
    /// Those of [`EXTENSIONS`] that the processor has.
    pub(super) extensions: Vec<&'static str>,
    /// What `rustc --version` says.
    pub(super) compiler: String,
    /// Debian packages of C libraries with their versions.
    libraries: Vec<(String, String)>,
}

/// Extensions of instruction sets on which figures depend: how Linux and how people call them.
const EXTENSIONS: [(&str, &str); 3] = [("sha_ni", "SHA-NI"), ("avx2", "AVX2"), ("avx512f", "AVX-512")];

impl Host {
    /// Asks Linux, rustc and dpkg.
    pub(super) fn of_this_machine() -> anyhow::Result<Self> {
        let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let compiler = output("rustc", &["--version"])?;
        let mut query = vec!["--show", "--showformat=${Package} ${Version}\n"];
        query.extend(BENCHED.iter().map(|package| package.name));
        let libraries = output("dpkg-query", &query)?;
        let (model, extensions) = read_processor(&processor);
        Ok(Self {
            model,
            cores: std::thread::available_parallelism()?.get(),
            extensions,
            compiler: compiler.trim().to_owned(),
            libraries: read_versions(&libraries),
        })
    }

    /// The version of a Debian package of [`BENCHED`], as upstream numbers it.
    pub(super) fn version(&self, package: &str) -> Option<&str> {
        let (_, version) = self.libraries.iter().find(|(name, _)| name == package)?;
        Some(version)
    }
}

#[cfg(test)]
impl Host {
    /// One that does not exist.
    pub(super) fn for_tests() -> Self {
        Self {
            model: "Processor 9000".to_owned(),
            cores: 4,
            extensions: vec!["SHA-NI", "AVX2"],
            compiler: "rustc 1.95.0".to_owned(),
            libraries: vec![("libkrb5-dev".to_owned(), "1.20.1".to_owned())],
        }
    }
}

/// The name of this machine's processor, as Linux tells it.
pub(crate) fn processor_name() -> String {
    let (name, _) = read_processor(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default());
    name
}

/// Name and extensions of the first processor of `/proc/cpuinfo`.
fn read_processor(cpuinfo: &str) -> (String, Vec<&'static str>) {
    let value = |key: &str| {
        cpuinfo.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.trim_end() == key).then_some(value.trim())
        })
    };
    let model = value("model name").unwrap_or("a processor without a name");
    let flags: Vec<&str> = value("flags").unwrap_or_default().split_whitespace().collect();
    let extensions = EXTENSIONS
        .iter()
        .filter(|(flag, _)| flags.contains(flag))
        .map(|(_, name)| *name);
    (model.to_owned(), extensions.collect())
}

/// Lines `PACKAGE VERSION`; of a version `EPOCH:UPSTREAM-DEBIAN` what stands in the middle.
fn read_versions(listed: &str) -> Vec<(String, String)> {
    let upstream = |version: &str| {
        let version = version.split_once(':').map_or(version, |(_, rest)| rest);
        let version = version.rsplit_once('-').map_or(version, |(rest, _)| rest);
        version.to_owned()
    };
    listed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(package, version)| (package.to_owned(), upstream(version)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named() {
        let cpuinfo = "processor\t: 0\nmodel\t\t: 106\nmodel name\t: Processor 9000\n\
                       flags\t\t: fpu sha_ni avx avx2\n\nprocessor\t: 1\nmodel name\t: Another\n";
        assert_eq!(
            read_processor(cpuinfo),
            ("Processor 9000".to_owned(), vec!["SHA-NI", "AVX2"])
        );
        assert_eq!(read_processor("flags : avx512f_not").1, Vec::<&str>::new());
        assert_eq!(read_processor("").0, "a processor without a name");
    }

    #[test]
    fn versions_are_those_of_upstream() {
        let listed = "liboath-dev 2.6.7-3.1+deb12u1\nx 1:7.4\nno-version\n";
        let versions = read_versions(listed);
        let expected = [("liboath-dev", "2.6.7"), ("x", "7.4")];
        assert_eq!(
            versions,
            expected.map(|(name, version)| (name.to_owned(), version.to_owned()))
        );
    }

    #[test]
    fn this_machine_can_be_asked() {
        assert!(output("rustc", &["--version"]).unwrap().starts_with("rustc "));
        let error = output("no-such-program-anywhere", &[]).unwrap_err().to_string();
        assert_eq!(error, "cannot start no-such-program-anywhere");
    }
}
