//! The shape that the READMEs of all libraries have.

/// Sections that the README of every library has, in this order; others may stand between them.
const SECTIONS: [&str; 5] = [
    "## Install",
    "## Features",
    "## Minimum supported Rust version",
    "## Safety",
    "## Licence",
];

/// Lines of the longest first example: what one sees without scrolling.
const LONGEST_EXAMPLE: usize = 20;

/// What the README of the library `name` lacks, one line each. An empty name among `features` stands for none.
pub(super) fn complaints(name: &str, features: &[&str], readme: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if !readme.starts_with(&format!("# {name}\n")) {
        complaints.push("README does not begin with its name".to_owned());
    }
    if !readme.contains(&format!("\ncargo add {name}\n")) {
        complaints.push(format!("README does not say `cargo add {name}`"));
    }
    let mut lines = readme.lines();
    for section in SECTIONS {
        // Looks only behind the section before it.
        if !lines.by_ref().any(|line| line == section) {
            complaints.push(format!("README lacks {section:?}, or has it out of order"));
            break;
        }
    }
    for feature in features.iter().filter(|feature| !feature.is_empty()) {
        if !readme.contains(&format!("\n| `{feature}` | ")) {
            complaints.push(format!("README does not say what the feature {feature} adds"));
        }
    }
    match first_example(readme) {
        Some(lines) if lines > LONGEST_EXAMPLE => complaints.push(format!(
            "the first example of the README has {lines} lines; {LONGEST_EXAMPLE} are enough"
        )),
        Some(_) => {}
        None => complaints.push("README has no example in Rust".to_owned()),
    }
    complaints
}

/// Lines of the first block that is Rust, without those that rustdoc hides.
fn first_example(readme: &str) -> Option<usize> {
    let mut lines = readme.lines().map(str::trim_start);
    lines.by_ref().find(|line| line.starts_with("```rust"))?;
    let shown = |line: &&str| !line.starts_with("# ") && *line != "#";
    Some(
        lines
            .take_while(|line| !line.starts_with("```"))
            .filter(shown)
            .count(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readme(example: usize) -> String {
        let example = "let a = 1;\n".repeat(example);
        let install = "```sh\ncargo add otp-core\n```\n".to_owned();
        let sections = SECTIONS.join("\n\n");
        format!("# otp-core\n\nA thing.\n\n{install}\n```rust\n# hidden\n{example}```\n\n{sections}\n")
    }

    #[test]
    fn a_readme_has_its_parts_in_order() {
        let none: [&str; 0] = [];
        let good = readme(20);
        assert_eq!(complaints("otp-core", &[], &good), none);
        let without = |part: &str| complaints("otp-core", &[], &good.replace(part, ""));
        assert_eq!(without("# otp-core\n"), ["README does not begin with its name"]);
        assert_eq!(
            without("cargo add otp-core\n"),
            ["README does not say `cargo add otp-core`"]
        );
        for section in SECTIONS {
            assert_eq!(without(section).len(), 1, "{section}");
        }
        let swapped = good
            .replace("## Safety", "## X")
            .replace("## Features", "## Safety")
            .replace("## X", "## Features");
        assert_eq!(complaints("otp-core", &[], &swapped).len(), 1);
        assert_eq!(
            complaints("otp-core", &[], &readme(21)),
            ["the first example of the README has 21 lines; 20 are enough"]
        );
        assert_eq!(without("```rust\n"), ["README has no example in Rust"]);
        assert_eq!(
            complaints("otp-core", &["", "std"], &good),
            ["README does not say what the feature std adds"]
        );
        let told = format!("{good}| `std` | yes | the widest registers |\n");
        assert_eq!(complaints("otp-core", &["", "std"], &told), none);
    }
}
