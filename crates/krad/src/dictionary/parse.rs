//! The file format of dictionaries, as dictionary(5) of FreeRADIUS 3 has it.
//!
//! A line is a keyword and its words; `#` at the beginning of a word starts a comment. Blocks end in the file in
//! which they begin. VALUE can stand before the ATTRIBUTE that it belongs to; without one, it is a warning.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Dictionary, DictionaryError, DictionaryProblem as Problem, DictionarySource,
    definition::{DataType, Definition, Encryption, Flags, Oid, Vendor},
};
use crate::{AttributeType, VendorFormat, VendorId};

/// How deeply files can include each other.
const MAX_DEPTH: usize = 16;

/// Adds to `dictionary` what the file at `path` defines, and those that it includes.
pub(super) fn parse(
    dictionary: &mut Dictionary,
    path: &Path,
    source: &impl DictionarySource,
) -> Result<(), DictionaryError> {
    let mut parser = Parser {
        dictionary,
        source,
        values: Vec::new(),
    };
    parser.file(path, MAX_DEPTH, false).map_err(|error| *error)?;
    let values = std::mem::take(&mut parser.values);
    for value in values {
        let (file, line) = (value.file.clone(), value.line);
        match parser.value(value) {
            Ok(()) => {}
            Err(problem) => {
                let error = DictionaryError::new(&file, Some(line), problem);
                match error.problem() {
                    Problem::UnknownAttribute(_) => parser.dictionary.warnings.push(error),
                    _ => return Err(error),
                }
            }
        }
    }
    Ok(())
}

struct Parser<'a, S> {
    dictionary: &'a mut Dictionary,
    source: &'a S,
    /// In the end all attributes are known.
    values: Vec<Value>,
}

/// A VALUE, and where it stands.
struct Value {
    file: PathBuf,
    line: u64,
    attribute: String,
    name: String,
    number: u64,
}

/// What is open in a file.
#[derive(Default)]
struct Blocks {
    vendor: Option<(String, Oid)>,
    tlvs: Vec<(String, Oid)>,
    protocol: Option<String>,
}

impl Blocks {
    /// What the numbers of attributes are relative to.
    fn base(&self) -> Option<&Oid> {
        let innermost = self.tlvs.last().or(self.vendor.as_ref());
        innermost.map(|(_, base)| base)
    }

    /// The innermost open block.
    fn open(&self) -> Option<String> {
        let tlv = self.tlvs.last().map(|(name, _)| format!("BEGIN-TLV {name}"));
        let vendor = || {
            self.vendor
                .as_ref()
                .map(|(name, _)| format!("BEGIN-VENDOR {name}"))
        };
        let protocol = || {
            self.protocol
                .as_ref()
                .map(|name| format!("BEGIN-PROTOCOL {name}"))
        };
        tlv.or_else(vendor).or_else(protocol)
    }

    fn unbalanced(&self, found: &[&str]) -> Problem {
        Problem::Unbalanced {
            found: found.join(" "),
            open: self.open().unwrap_or_else(|| "any block".to_owned()),
        }
    }
}

impl<S: DictionarySource> Parser<'_, S> {
    /// Parses one file; `optional`, and it can be missing.
    fn file(&mut self, path: &Path, depth: usize, optional: bool) -> Result<(), Box<DictionaryError>> {
        let octets = match self.source.read(path) {
            Ok(octets) => octets,
            Err(error) if optional && error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                return Err(Box::new(DictionaryError::new(
                    path,
                    None,
                    Problem::Read(Arc::new(error)),
                )));
            }
        };
        let mut blocks = Blocks::default();
        for (line, octets) in (1..).zip(octets.split(|&octet| octet == b'\n')) {
            let text = String::from_utf8_lossy(octets);
            let words: Vec<&str> = text
                .split_ascii_whitespace()
                .take_while(|word| !word.starts_with('#'))
                .collect();
            let located = |problem| Box::new(DictionaryError::new(path, Some(line), problem));
            let &[keyword, ref words @ ..] = words.as_slice() else {
                continue;
            };
            match keyword.to_ascii_uppercase().as_str() {
                include @ ("$INCLUDE" | "$INCLUDE-") => {
                    let &[name] = words else {
                        return Err(located(Problem::Usage("$INCLUDE file, or $INCLUDE- file")));
                    };
                    let depth = depth.checked_sub(1);
                    let depth = depth.ok_or_else(|| located(Problem::IncludeDepth(MAX_DEPTH)))?;
                    let directory = path.parent().unwrap_or(Path::new(""));
                    self.file(&directory.join(name), depth, include.ends_with('-'))?;
                }
                "VALUE" => {
                    let value = parse_value(path, line, words).map_err(located)?;
                    self.values.push(value);
                }
                keyword => self.line(keyword, words, &mut blocks).map_err(located)?,
            }
        }
        match blocks.open() {
            Some(open) => Err(Box::new(DictionaryError::new(
                path,
                None,
                Problem::NotEnded(open),
            ))),
            None => Ok(()),
        }
    }

    fn line(&mut self, keyword: &str, words: &[&str], blocks: &mut Blocks) -> Result<(), Problem> {
        match keyword {
            "ATTRIBUTE" => self.attribute(words, blocks),
            "VENDOR" => self.vendor(words),
            "BEGIN-VENDOR" => self.begin_vendor(words, blocks),
            "END-VENDOR" => match (words, blocks.vendor.take()) {
                ([name], Some((open, _))) if name.eq_ignore_ascii_case(&open) && blocks.tlvs.is_empty() => {
                    Ok(())
                }
                (_, open) => {
                    blocks.vendor = open;
                    Err(blocks.unbalanced(&[&[keyword], words].concat()))
                }
            },
            "BEGIN-TLV" => {
                let &[name] = words else {
                    return Err(Problem::Usage("BEGIN-TLV attribute"));
                };
                let attribute = self.dictionary.by_name(name);
                let attribute = attribute.ok_or_else(|| Problem::UnknownAttribute(name.to_owned()))?;
                if attribute.data_type != DataType::Tlv {
                    return Err(Problem::Nesting(attribute.oid.clone()));
                }
                blocks.tlvs.push((name.to_owned(), attribute.oid.clone()));
                Ok(())
            }
            "END-TLV" => match (words, blocks.tlvs.pop()) {
                ([name], Some((open, _))) if name.eq_ignore_ascii_case(&open) => Ok(()),
                (_, open) => {
                    blocks.tlvs.extend(open);
                    Err(blocks.unbalanced(&[&[keyword], words].concat()))
                }
            },
            "PROTOCOL" | "BEGIN-PROTOCOL" => {
                let &[name, ..] = words else {
                    return Err(Problem::Usage("PROTOCOL RADIUS number, or BEGIN-PROTOCOL RADIUS"));
                };
                if !name.eq_ignore_ascii_case("RADIUS") {
                    return Err(Problem::Protocol(name.to_owned()));
                }
                if keyword == "BEGIN-PROTOCOL" {
                    blocks.protocol = Some(name.to_owned());
                }
                Ok(())
            }
            "END-PROTOCOL" => match (words, blocks.protocol.take()) {
                ([name], Some(open)) if name.eq_ignore_ascii_case(&open) && blocks.open().is_none() => Ok(()),
                (_, open) => {
                    blocks.protocol = open;
                    Err(blocks.unbalanced(&[&[keyword], words].concat()))
                }
            },
            other => Err(Problem::Keyword(other.to_owned())),
        }
    }

    /// `ATTRIBUTE name oid type [flags]`.
    fn attribute(&mut self, words: &[&str], blocks: &Blocks) -> Result<(), Problem> {
        let (name, number, data_type, flags) = match *words {
            [name, number, data_type] => (name, number, data_type, None),
            [name, number, data_type, flags] => (name, number, data_type, Some(flags)),
            _ => return Err(Problem::Usage("ATTRIBUTE name number type [flag,flag…]")),
        };
        let name = checked_name(name)?;
        let (data_type, length) = parse_type(data_type)?;
        let (flags, vendor) = self.flags(flags)?;
        let base = vendor.as_ref().or(blocks.base());
        let base: &[u32] = base.map_or(&[], Oid::numbers);
        let mut oid: Oid = base.iter().copied().collect();
        for (index, number) in number.split('.').enumerate() {
            if index > 0 && !self.nests(&oid) {
                return Err(Problem::Nesting(oid));
            }
            oid = oid.child(parse_number(number)?);
        }
        if let Some(taken) = self.dictionary.by_name(&name).filter(|taken| taken.oid != oid) {
            return Err(Problem::Conflict {
                name,
                defined: format!("attribute {}", taken.oid),
            });
        }
        let definition = Arc::new(Definition {
            name,
            oid,
            data_type,
            length,
            flags,
        });
        let key = definition.name.to_ascii_lowercase();
        self.dictionary
            .attributes_by_name
            .insert(key, Arc::clone(&definition));
        self.dictionary
            .attributes
            .insert(definition.oid.clone(), definition);
        Ok(())
    }

    /// Whether attributes can be nested at this position.
    fn nests(&self, oid: &Oid) -> bool {
        let numbers = oid.numbers();
        let nests = |oid: &[u32], only: fn(DataType) -> bool| {
            let defined = self.dictionary.by_oid(oid);
            defined.is_some_and(|attribute| only(attribute.data_type))
        };
        // A Vendor-Id is no attribute, but the attributes of the vendor follow it.
        nests(numbers, DataType::nests)
            || numbers.split_last().is_some_and(|(&vendor, parent)| {
                let is_vendor = self.dictionary.vendor(VendorId(vendor)).is_some();
                is_vendor
                    && nests(parent, |data_type| {
                        matches!(data_type, DataType::Vsa | DataType::Evs)
                    })
            })
    }

    /// Flags, or the name of a vendor in their place as old dictionaries have it.
    fn flags(&self, text: Option<&str>) -> Result<(Flags, Option<Oid>), Problem> {
        let (mut flags, mut vendor) = (Flags::default(), None);
        for flag in text.into_iter().flat_map(|text| text.split(',')) {
            match flag {
                "has_tag" => flags.has_tag = true,
                "array" => flags.array = true,
                "concat" => flags.concat = true,
                "secret" => flags.secret = true,
                "virtual" => flags.is_virtual = true,
                "encrypt=0" => flags.encryption = None,
                "encrypt=1" => flags.encryption = Some(Encryption::UserPassword),
                "encrypt=2" => flags.encryption = Some(Encryption::TunnelPassword),
                "encrypt=3" => flags.encryption = Some(Encryption::AscendSecret),
                name => match self.dictionary.vendor_by_name(name) {
                    Some(known) => vendor = Some(vendor_base(known.id)),
                    None => return Err(Problem::Flag(name.to_owned())),
                },
            }
        }
        Ok((flags, vendor))
    }

    /// `VENDOR name number [format=…]`.
    fn vendor(&mut self, words: &[&str]) -> Result<(), Problem> {
        let (name, number, format) = match *words {
            [name, number] => (name, number, VendorFormat::default()),
            [name, number, format] => (name, number, parse_format(format)?),
            _ => return Err(Problem::Usage("VENDOR name number [format=T,L]")),
        };
        let name = checked_name(name)?;
        let id = VendorId(parse_number(number)?);
        if let Some(taken) = self
            .dictionary
            .vendor_by_name(&name)
            .filter(|taken| taken.id != id)
        {
            return Err(Problem::Conflict {
                defined: format!("vendor {}", taken.id),
                name,
            });
        }
        self.dictionary
            .vendors_by_name
            .insert(name.to_ascii_lowercase(), id);
        self.dictionary.vendors.insert(id, Vendor { name, id, format });
        Ok(())
    }

    /// `BEGIN-VENDOR name [format=attribute]`; the attribute is one for extended vendor-specific ones.
    fn begin_vendor(&self, words: &[&str], blocks: &mut Blocks) -> Result<(), Problem> {
        let (name, within) = match *words {
            [name] => (name, None),
            [name, within] => (name, Some(within)),
            _ => {
                return Err(Problem::Usage(
                    "BEGIN-VENDOR vendor [format=Extended-Vendor-Specific-1]",
                ));
            }
        };
        if let Some(open) = blocks
            .open()
            .filter(|_| blocks.vendor.is_some() || !blocks.tlvs.is_empty())
        {
            return Err(Problem::NotEnded(open));
        }
        let vendor = self.dictionary.vendor_by_name(name);
        let vendor = vendor.ok_or_else(|| Problem::UnknownVendor(name.to_owned()))?;
        let base = match within {
            None => vendor_base(vendor.id),
            Some(within) => {
                let parent = within
                    .strip_prefix("format=")
                    .or_else(|| within.strip_prefix("parent="));
                let parent = parent.ok_or_else(|| Problem::Format(within.to_owned()))?;
                let parent = self
                    .dictionary
                    .by_name(parent)
                    .ok_or_else(|| Problem::UnknownAttribute(parent.to_owned()))?;
                if parent.data_type != DataType::Evs {
                    return Err(Problem::Nesting(parent.oid.clone()));
                }
                parent.oid.child(vendor.id.0)
            }
        };
        blocks.vendor = Some((name.to_owned(), base));
        Ok(())
    }

    fn value(&mut self, value: Value) -> Result<(), Problem> {
        let attribute = self.dictionary.by_name(&value.attribute);
        let attribute = attribute.ok_or_else(|| Problem::UnknownAttribute(value.attribute.clone()))?;
        let octets = match attribute.data_type {
            DataType::Octets => 8, // a number of their own, as some vendors' dictionaries name it
            data_type => data_type.integer_octets().ok_or_else(|| Problem::ValueOfType {
                name: attribute.name.clone(),
                data_type,
            })?,
        };
        let max = u64::MAX >> 64_u32.saturating_sub(u32::from(octets).saturating_mul(8));
        if value.number > max {
            return Err(Problem::Number(value.number.to_string()));
        }
        let values = self.dictionary.values.entry(attribute.oid.clone()).or_default();
        let key = value.name.to_ascii_lowercase();
        if let Some(taken) = values.by_name.get(&key).filter(|&&taken| taken != value.number) {
            return Err(Problem::Conflict {
                name: value.name,
                defined: format!("the value {taken} of {}", value.attribute),
            });
        }
        values.by_name.insert(key, value.number);
        values.by_number.insert(value.number, value.name);
        Ok(())
    }
}

/// `VALUE attribute name number`.
fn parse_value(file: &Path, line: u64, words: &[&str]) -> Result<Value, Problem> {
    let &[attribute, name, number] = words else {
        return Err(Problem::Usage("VALUE attribute name number"));
    };
    if !name.bytes().all(|octet| octet.is_ascii_graphic()) {
        return Err(Problem::ValueName(name.to_owned()));
    }
    let digits = number
        .strip_prefix("0x")
        .map_or((number, 10), |digits| (digits, 16));
    let parsed = u64::from_str_radix(digits.0, digits.1);
    Ok(Value {
        file: file.to_owned(),
        line,
        attribute: attribute.to_owned(),
        name: name.to_owned(),
        number: parsed.map_err(|_| Problem::Number(number.to_owned()))?,
    })
}

/// The attributes of a vendor are in Vendor-Specific.
fn vendor_base(vendor: VendorId) -> Oid {
    [u32::from(AttributeType::VENDOR_SPECIFIC.0), vendor.0]
        .into_iter()
        .collect()
}

fn checked_name(name: &str) -> Result<String, Problem> {
    let valid = |c: char| c.is_ascii_alphanumeric() || "-_./:+*".contains(c);
    if name.chars().all(valid) {
        Ok(name.to_owned())
    } else {
        Err(Problem::Name(name.to_owned()))
    }
}

/// A type, and the length of `octets[16]`.
fn parse_type(text: &str) -> Result<(DataType, Option<u16>), Problem> {
    let unknown = || Problem::DataType(text.to_owned());
    let (name, length) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((name, length)) => (name, Some(length.parse().map_err(|_| unknown())?)),
        None => (text, None),
    };
    let data_type = name.parse().map_err(|_| unknown())?;
    match (data_type, length) {
        (DataType::Octets | DataType::String, length) | (_, length @ None) => Ok((data_type, length)),
        _ => Err(unknown()),
    }
}

fn parse_number(text: &str) -> Result<u32, Problem> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| Problem::Number(text.to_owned()))
}

/// `format=T,L` or `format=1,1,c`.
fn parse_format(text: &str) -> Result<VendorFormat, Problem> {
    let parse = || {
        let (octets, continuation) = match text.strip_prefix("format=")? {
            text if text.ends_with(",c") => (text.strip_suffix(",c")?, true),
            text => (text, false),
        };
        let (type_octets, length_octets) = octets.split_once(',')?;
        VendorFormat::new(
            type_octets.parse().ok()?,
            length_octets.parse().ok()?,
            continuation,
        )
    };
    parse().ok_or_else(|| Problem::Format(text.to_owned()))
}
