//! What a page of `docs/use` tells its reader to do, in order.
//!
//! Three kinds of fenced blocks, and no others:
//!
//! - `sh`: commands, typed into one root shell from the first block of the page to the last;
//! - `text`, right behind them: lines that they print, in this order, among others. `…` stands for anything;
//! - any other: a file. Its first line is a comment with its path, and the file is the whole block.

use anyhow::{Context, bail, ensure};

/// A page, ready to be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
}

/// One block of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// The line of the page on which the block begins.
    pub(crate) line: usize,
    pub(crate) action: Action,
}

/// What the reader does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Types commands, and sees these lines.
    Type { commands: String, shown: Vec<String> },
    /// Writes a file.
    Write { path: String, text: String },
}

impl Page {
    /// Reads a page; `name` is for messages.
    pub(crate) fn parse(name: &str, markdown: &str) -> anyhow::Result<Self> {
        let mut steps: Vec<Step> = Vec::new();
        let mut lines = (1..).zip(markdown.lines());
        // Output belongs to the commands right before it, with no other block in between.
        while let Some((line, text)) = lines.next() {
            let Some(language) = text.strip_prefix("```") else {
                ensure!(
                    !text.trim_start().starts_with("```"),
                    "{name}:{line}: an indented block: what is run must not be part of a list"
                );
                continue;
            };
            let mut block = String::new();
            loop {
                let (_, text) = lines
                    .next()
                    .with_context(|| format!("{name}:{line}: this block has no end"))?;
                if text == "```" {
                    break;
                }
                block.push_str(text);
                block.push('\n');
            }
            add(&mut steps, line, language, block).with_context(|| format!("{name}:{line}"))?;
        }
        ensure!(!steps.is_empty(), "{name}: there is nothing to do on this page");
        Ok(Self {
            name: name.to_owned(),
            steps,
        })
    }

    /// The lines that install Debian packages: what they name is fetched before the page is followed, in a Debian without
    /// a network.
    pub(crate) fn installations(&self) -> impl Iterator<Item = &str> {
        self.steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::Type { commands, .. } => Some(commands),
                Action::Write { .. } => None,
            })
            .flat_map(|commands| commands.lines())
            .filter_map(|line| line.strip_prefix("apt install "))
    }

    /// All of it as a script for bash, which ends at the first command that fails. Behind a [`MARK`] stands the number of
    /// the step that begins.
    pub(crate) fn script(&self) -> String {
        let mut script = "exec 2>&1\ncd /root\nset -e -o pipefail\n".to_owned();
        for (number, step) in self.steps.iter().enumerate() {
            script.push_str(&format!("printf '\\n{MARK}%s\\n' {number}\n"));
            match &step.action {
                Action::Type { commands, .. } => script.push_str(commands),
                Action::Write { path, text } => {
                    script.push_str(&format!(
                        "mkdir -p \"$(dirname {path})\"\ncat > {path} <<'{END_OF_FILE}'\n{text}{END_OF_FILE}\n"
                    ));
                }
            }
        }
        script.push_str(&format!("printf '\\n{MARK}%s\\n' {}\n", self.steps.len()));
        script
    }
}

/// A character that no program prints by itself.
pub(crate) const MARK: char = '\u{1e}';
const END_OF_FILE: &str = "END-OF-THE-FILE-ON-THE-PAGE";

fn add(steps: &mut Vec<Step>, line: usize, language: &str, block: String) -> anyhow::Result<()> {
    match language {
        "sh" => steps.push(Step {
            line,
            action: Action::Type {
                commands: block,
                shown: Vec::new(),
            },
        }),
        "text" => match steps.last_mut() {
            Some(Step {
                action: Action::Type { shown, .. },
                ..
            }) if shown.is_empty() => *shown = block.lines().map(|line| line.trim().to_owned()).collect(),
            _ => bail!("no commands that print this stand before it"),
        },
        _ => {
            let path = block
                .lines()
                .next()
                .and_then(|line| line.strip_prefix("# /"))
                .filter(|path| !path.contains(char::is_whitespace))
                .context(
                    "neither sh nor text, and not a file: its first line is not a comment with a path",
                )?;
            steps.push(Step {
                line,
                action: Action::Write {
                    path: format!("/{path}"),
                    text: block,
                },
            });
        }
    }
    Ok(())
}

/// The first of the lines `shown` that does not follow in `output`.
pub(crate) fn missing<'a>(shown: &'a [String], output: &str) -> Option<&'a str> {
    let mut lines = output.lines().map(str::trim);
    shown
        .iter()
        .find(|expected| !lines.any(|line| fits(expected, line)))
        .map(String::as_str)
}

/// Whether `line` is `expected`, where `…` stands for anything.
fn fits(expected: &str, line: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some((_, behind)) = rest.split_once(part) else {
            return false;
        };
        rest = behind;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# A page
```sh
apt install --yes one two
echo hello | tee x
```
It says
```text
hel…
```
```toml
# /etc/thing/thing.toml
key = \"$not\"
```
";

    #[test]
    fn blocks_are_steps() {
        let page = Page::parse("x.md", PAGE).unwrap();
        assert_eq!(
            page.steps.iter().map(|step| step.line).collect::<Vec<_>>(),
            [2, 10]
        );
        assert_eq!(
            page.steps[0].action,
            Action::Type {
                commands: "apt install --yes one two\necho hello | tee x\n".to_owned(),
                shown: vec!["hel…".to_owned()],
            }
        );
        assert_eq!(
            page.steps[1].action,
            Action::Write {
                path: "/etc/thing/thing.toml".to_owned(),
                text: "# /etc/thing/thing.toml\nkey = \"$not\"\n".to_owned(),
            }
        );
        assert_eq!(page.installations().collect::<Vec<_>>(), ["--yes one two"]);
        assert!(page.script().contains("key = \"$not\"\nEND-OF"));
    }

    #[test]
    fn what_would_not_be_followed_is_refused() {
        for (page, why) in [
            ("no blocks", "nothing to do"),
            ("```sh\necho", "no end"),
            ("- item\n  ```sh\n  echo\n  ```", "indented"),
            ("```text\nhello\n```", "no commands"),
            ("```sh\nx\n```\n```text\na\n```\n```text\nb\n```", "no commands"),
            ("```ini\nkey = 1\n```", "not a file"),
            ("```console\n$ echo\n```", "not a file"),
        ] {
            let error = format!("{:#}", Page::parse("x.md", page).unwrap_err());
            assert!(
                error.starts_with("x.md") && error.contains(why),
                "{page}: {error}"
            );
        }
    }

    #[test]
    fn lines_are_found_in_their_order() {
        let shown = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let output = "begin\n  Received Access-Accept Id 7 from 127.0.0.1:1812\nend\n";
        for fitting in [
            "begin\nend",
            "Received Access-Accept…",
            "…Id … from …:1812",
            "…",
            "",
        ] {
            assert_eq!(missing(&shown(fitting), output), None, "{fitting}");
        }
        for (other, first) in [
            ("end\nbegin", "begin"),
            ("begi", "begi"),
            ("begin\n…Access-Reject…", "…Access-Reject…"),
            ("…Id … from …:1813", "…Id … from …:1813"),
        ] {
            assert_eq!(missing(&shown(other), output), Some(first));
        }
    }

    /// The pages of the documentation, on every machine.
    #[test]
    fn every_page_can_be_followed() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let pages = super::super::load(&root).unwrap();
        assert!(pages.len() >= 5, "{}", pages.len());
        let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
        for page in pages {
            if page.name.starts_with("docs/") {
                assert!(
                    readme.contains(&format!("]({})", page.name)),
                    "README.md: no link to {}",
                    page.name
                );
            }
            assert!(page.installations().next().is_some(), "{}", page.name);
        }
    }
}
