//! `cargo xtask peers`: follows the pages of `docs/use` to the letter, on Debians with the package and other people's
//! programs.

mod page;
mod wire;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{fs, iter, thread};

use anyhow::{Context, bail, ensure};

use crate::guest::{self, Guest};
use crate::packages::Package;
use crate::{deb, machine};
use page::{Action, MARK, Page};
use wire::Capture;

/// Pages for administrators, and what else is asked of other people's programs.
const DIRECTORIES: [&str; 2] = ["docs/use", "xtask/peers"];
/// What the pages printed.
const LOGS: &str = "target/peers";
/// Seconds that a page may take.
const PATIENCE: u32 = 300;
/// How many pages are followed at a time.
const SIDE_BY_SIDE: usize = 3;

/// Judges what the daemon sent.
const REQUIRED: [Package; 2] = [
    Package {
        name: "tshark",
        provides: "tshark",
    },
    Package {
        name: "wireshark-common",
        provides: "dumpcap",
    },
];

/// What `cargo xtask peers` is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    package: deb::Options,
    /// Parts of the names of pages; all pages if there is none.
    filters: Vec<String>,
}

impl Options {
    pub(crate) fn parse(arguments: &[&str]) -> anyhow::Result<Self> {
        let (package, filters) = match arguments {
            ["--profile", name, filters @ ..] => (deb::Options::parse(&["--profile", name])?, filters),
            filters => (deb::Options::parse(&[])?, filters),
        };
        ensure!(
            !filters.iter().any(|filter| filter.starts_with('-')),
            "cargo xtask peers [--profile NAME] [PAGE…]"
        );
        Ok(Self {
            package,
            filters: filters.iter().copied().map(str::to_owned).collect(),
        })
    }
}

/// What became of a page.
#[derive(Debug)]
struct Row {
    name: String,
    /// Steps that were done, and how many there are.
    steps: (usize, usize),
    replies: usize,
    took: Duration,
    failure: Option<String>,
}

/// Builds the package once, and follows every page on a Debian of its own.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    ensure!(
        machine::is_root(),
        "only root can boot the Debians on which the pages are followed"
    );
    machine::provide_packages(&REQUIRED)?;
    let mut pages = load(Path::new("."))?;
    pages.retain(|page| {
        options.filters.is_empty() || options.filters.iter().any(|filter| page.name.contains(filter))
    });
    ensure!(!pages.is_empty(), "no page is called like that");
    guest::provide(&deb::build(&options.package)?)?;
    guest::fetch(pages.iter().flat_map(Page::installations))?;
    fs::create_dir_all(LOGS).with_context(|| format!("cannot make {LOGS}"))?;

    let mut rows = follow_all(&pages)?;
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    let failed = rows.iter().filter(|row| row.failure.is_some()).count();
    print!("\n{}", table(&rows));
    println!("{} passed, {failed} failed", rows.len().saturating_sub(failed));
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// All pages, by name.
fn load(root: &Path) -> anyhow::Result<Vec<Page>> {
    let mut pages = Vec::new();
    for directory in DIRECTORIES {
        let files = fs::read_dir(root.join(directory)).with_context(|| format!("cannot read {directory}"))?;
        for file in files {
            let path = file?.path();
            let (Some(name), true) = (path.file_name(), path.extension().is_some_and(|is| is == "md")) else {
                continue;
            };
            let name = format!("{directory}/{}", name.to_string_lossy());
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
            pages.push(Page::parse(&name, &text)?);
        }
    }
    pages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(pages)
}

/// Follows the pages, [`SIDE_BY_SIDE`] at a time: most of the time of a page goes into waiting for the next code.
fn follow_all(pages: &[Page]) -> anyhow::Result<Vec<Row>> {
    let left = Mutex::new(pages.iter());
    let next = || left.lock().ok().and_then(|mut left| left.next());
    let follow_rest = || iter::from_fn(next).map(follow).collect::<Vec<Row>>();
    let rows: Vec<Row> = thread::scope(|scope| {
        let threads: Vec<_> = (0..SIDE_BY_SIDE).map(|_| scope.spawn(follow_rest)).collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .flatten()
            .collect()
    });
    ensure!(rows.len() == pages.len(), "a page was not followed to its end");
    Ok(rows)
}

fn follow(page: &Page) -> Row {
    println!("== {}: {} steps", page.name, page.steps.len());
    #[expect(
        clippy::disallowed_methods,
        reason = "measures how long a page takes for people to read"
    )]
    let started = Instant::now();
    let (done, result) = attempt(page);
    let (replies, failure) = match result {
        Ok(replies) => (replies, None),
        Err(error) => (0, Some(format!("{error:#}"))),
    };
    // As the closing line of a test, so that tools for tests read it.
    match &failure {
        None => println!("test {} ... ok", page.name),
        Some(failure) => println!("test {} ... FAILED\n{failure}", page.name),
    }
    Row {
        name: page.name.clone(),
        steps: (done, page.steps.len()),
        replies,
        took: started.elapsed(),
        failure,
    }
}

/// Follows a page: how many steps were done, and how many replies of the daemon tshark judged.
fn attempt(page: &Page) -> (usize, anyhow::Result<usize>) {
    let name = page.name.replace(['/', '.'], "-");
    let log = |kind: &str| Path::new(LOGS).join(format!("{name}.{kind}"));
    let mut done = 0;
    let mut follow = || {
        let guest = Guest::boot(&name, &log("console"))?;
        let capture = Capture::start(&guest, &log("pcapng"))?;
        let output = guest
            .bash(&page.script(), PATIENCE)
            .output()
            .context("cannot start nsenter")?;
        let output = String::from_utf8_lossy(&output.stdout).into_owned();
        fs::write(log("txt"), &output)?;
        let journal = guest.output("journalctl --no-pager --output=short-precise")?;
        fs::write(log("journal"), &journal)?;
        let checked = check(page, &output);
        done = checked
            .as_ref()
            .map_or_else(|stop| stop.done, |()| page.steps.len());
        if let Err(stop) = checked {
            bail!("{}\n{}", stop.why, tail(&journal, "otp-radiusd["));
        }
        let ports = wire::ports(&guest.output("ss --udp --listening --numeric --processes")?);
        let secrets = guest.output("cat /root/*.secret")?;
        let secrets: Vec<String> = secrets.lines().map(str::to_owned).collect();
        capture.judge(&ports, &secrets)
    };
    let result = follow();
    (done, result)
}

/// Where a page could not be followed any further.
#[derive(Debug)]
struct Stop {
    done: usize,
    why: String,
}

/// Looks through the output of [`Page::script`]: every step has to have ended, and to have shown what the page says.
fn check(page: &Page, output: &str) -> Result<(), Stop> {
    let parts: Vec<&str> = output.split(MARK).skip(1).collect();
    for (number, step) in page.steps.iter().enumerate() {
        let said = parts.get(number).copied().unwrap_or_default();
        let stop = |what: &str| Stop {
            done: number,
            why: format!("{}:{}: {what}\n{}", page.name, step.line, tail(said, "")),
        };
        // The mark of the next step stands behind what was done.
        if parts.len() <= number.saturating_add(1) {
            return Err(stop(
                "a command fails, or does not end; it printed, after its number:",
            ));
        }
        if let Action::Type { shown, .. } = &step.action
            && let Some(line) = page::missing(shown, said)
        {
            return Err(stop(&format!("`{line}` is not printed; the end of what is:")));
        }
    }
    Ok(())
}

/// The last lines of `text` with `what`.
fn tail(text: &str, what: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(what)).collect();
    lines
        .get(lines.len().saturating_sub(30)..)
        .unwrap_or_default()
        .join("\n")
}

fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
    let mut table = format!("{:width$}  steps  replies     time  verdict\n", "page");
    for row in rows {
        let (done, all) = row.steps;
        table.push_str(&format!(
            "{:width$}  {:>5}  {:>7}  {:>5.1} s  {}\n",
            row.name,
            format!("{done}/{all}"),
            row.replies,
            row.took.as_secs_f64(),
            if row.failure.is_none() { "ok" } else { "FAILED" }
        ));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_package_and_which_pages() {
        let all = Options::parse(&[]).unwrap();
        assert!(all.filters.is_empty() && all.package == deb::Options::parse(&[]).unwrap());
        let some = Options::parse(&["--profile", "dev", "wifi", "kdc"]).unwrap();
        assert_eq!(some.filters, ["wifi", "kdc"]);
        assert_eq!(some.package, deb::Options::parse(&["--profile", "dev"]).unwrap());
        for wrong in [&["--profile"][..], &["--tried"], &["wifi", "--profile"]] {
            assert!(Options::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    /// The script of a page, followed by the bash of this machine, and what is made of its output.
    #[test]
    fn a_page_stops_where_it_is_wrong() {
        let follow = |page: &str| {
            let page = Page::parse("x.md", page).unwrap();
            let script = page.script().replace("/root", "/");
            let output = std::process::Command::new("bash")
                .args(["-c", &script])
                .output()
                .unwrap();
            check(&page, &String::from_utf8(output.stdout).unwrap())
        };
        let right = "```sh\na=hello\n```\n```sh\necho $a; echo there >&2\n```\n```text\nhel…\nthere\n```\n";
        follow(right).unwrap();
        for (wrong, done, why) in [
            (right.replace("a=hello", "false"), 0, "x.md:1: a command fails"),
            (
                right.replace("a=hello", "false | true"),
                0,
                "x.md:1: a command fails",
            ),
            (right.replace("a=hello", "exit 0"), 0, "x.md:1: a command fails"),
            (
                right.replace("there >", "here >"),
                1,
                "x.md:4: `there` is not printed",
            ),
            (right.replace("echo $a", "false"), 1, "x.md:4: a command fails"),
        ] {
            let stop = follow(&wrong).unwrap_err();
            assert!(stop.why.starts_with(why), "{wrong}: {}", stop.why);
            assert_eq!(stop.done, done, "{wrong}");
        }
    }

    #[test]
    fn the_table_names_what_failed() {
        let row = |name: &str, failure: Option<&str>| Row {
            name: name.to_owned(),
            steps: (3, 4),
            replies: 7,
            took: Duration::from_millis(12_340),
            failure: failure.map(str::to_owned),
        };
        assert_eq!(
            table(&[row("docs/use/kdc.md", None), row("x.md", Some("why"))]),
            "page             steps  replies     time  verdict\n\
             docs/use/kdc.md    3/4        7   12.3 s  ok\n\
             x.md               3/4        7   12.3 s  FAILED\n"
        );
    }
}
