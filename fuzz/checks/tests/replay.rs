//! Runs every file of `fuzz/corpus` through the check of its target, without a fuzzer.
//!
//! A program of its own instead of `#[test]` functions, so that what is printed says how many inputs each check ran.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io, panic};

use fuzz_checks::{TARGETS, Target};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    run(&arguments).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

/// Takes what `cargo test` hands to every test binary: words are parts of names, `--exact` makes them whole names, and
/// `--list` asks for the names; other options concern tests that run side by side.
fn run(arguments: &[String]) -> Result<ExitCode, Box<dyn Error>> {
    let has = |option: &str| arguments.iter().any(|argument| argument == option);
    let mut words = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--test-threads" | "--format" | "--color" | "--logfile" | "--skip" => drop(rest.next()),
            option if option.starts_with('-') => {}
            word => words.push(word),
        }
    }
    let is_chosen = |name: &str| {
        let fits = |word: &&str| {
            if has("--exact") {
                name == *word
            } else {
                name.contains(*word)
            }
        };
        words.is_empty() || words.iter().any(fits)
    };
    let tests = tests().into_iter().filter(|(name, _)| is_chosen(name));
    if has("--list") {
        tests.for_each(|(name, _)| println!("{name}: test"));
        return Ok(ExitCode::SUCCESS);
    }
    // None is ever ignored.
    Ok(report(if has("--ignored") {
        Vec::new()
    } else {
        tests.collect()
    }))
}

/// What went well, in a word or two, or what did not.
type Outcome = Result<String, String>;

type Test = Box<dyn FnOnce() -> Outcome>;

fn tests() -> Vec<(&'static str, Test)> {
    let mut tests: Vec<(&str, Test)> = vec![(
        "every_target_has_a_corpus_and_a_fuzzer",
        Box::new(every_target_is_whole),
    )];
    for target in TARGETS {
        tests.push((target.name, Box::new(|| replay(target))));
    }
    tests
}

fn report(tests: Vec<(&'static str, Test)>) -> ExitCode {
    println!("\nrunning {} tests", tests.len());
    let (mut passed, mut failures) = (0, Vec::new());
    for (name, test) in tests {
        match test() {
            Ok(what) => {
                println!("test {name} ({what}) ... ok");
                passed += 1;
            }
            Err(problem) => {
                println!("test {name} ... FAILED");
                failures.push((name, problem));
            }
        }
    }
    for (name, problem) in &failures {
        println!("\n---- {name} ----\n{problem}");
    }
    let (word, code) = match failures.as_slice() {
        [] => ("ok", ExitCode::SUCCESS),
        _ => ("FAILED", ExitCode::FAILURE),
    };
    println!(
        "\ntest result: {word}. {passed} passed; {} failed; 0 ignored; 0 measured; 0 filtered out\n",
        failures.len()
    );
    code
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs all of a corpus, and names every input that does not hold.
fn replay(target: &Target) -> Outcome {
    let directory = fuzz().join("corpus").join(target.name);
    let files = names(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut failed = Vec::new();
    for (file, path) in &files {
        let input = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        if panic::catch_unwind(|| (target.check)(&input)).is_err() {
            failed.push(format!("fuzz/corpus/{}/{}", target.name, file.display()));
        }
    }
    match (files.len(), failed.as_slice()) {
        (0, _) => Err("the corpus is empty".to_owned()),
        (count, []) => Ok(format!("{count} inputs")),
        (count, failed) => Err(format!(
            "{} of {count} inputs failed; what they broke is shown above:\n{}",
            failed.len(),
            failed.join("\n")
        )),
    }
}

/// A check without a corpus is never replayed, one without a fuzz target never fuzzed, and a corpus without either is dead.
fn every_target_is_whole() -> Outcome {
    let listed: Vec<OsString> = TARGETS.iter().map(|target| target.name.into()).collect();
    let names_in = |directory: &str| {
        let found = names(&fuzz().join(directory)).map_err(|error| format!("fuzz/{directory}: {error}"))?;
        Ok::<_, String>(found.into_keys().collect::<Vec<_>>())
    };
    let corpora = names_in("corpus")?;
    if corpora != listed {
        return Err(format!("the corpora are {corpora:?}, the targets {listed:?}"));
    }
    let without_suffix = |name: OsString| Path::new(&name).file_stem().map(OsString::from);
    let fuzzers: Vec<OsString> = names_in("fuzz_targets")?
        .into_iter()
        .filter_map(without_suffix)
        .collect();
    if fuzzers != listed {
        return Err(format!("the fuzzers are {fuzzers:?}, the targets {listed:?}"));
    }
    Ok(format!("{} targets", listed.len()))
}

/// What is in a directory, sorted by name.
fn names(directory: &Path) -> io::Result<BTreeMap<OsString, PathBuf>> {
    fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| (entry.file_name(), entry.path())))
        .collect()
}
