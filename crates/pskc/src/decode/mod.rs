//! From XML to a [`Container`]: every element is either understood or refused by name.

mod data;
mod encryption;
mod key;

use crate::error::quote;
use crate::xml::{self, Element};
use crate::{Container, DeviceInfo, KeyPackage, KeySource, Problem, PskcError};

use encryption::Opener;

/// Reads containers. The default is strict; every method weakens one rule.
///
/// ```
/// # use pskc::{Decoder, Problem};
/// let short = br#"<KeyContainer xmlns="urn:ietf:params:xml:ns:keyprov:pskc" Version="1.0"><KeyPackage>
///   <Key Id="1" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:hotp">
///     <AlgorithmParameters><ResponseFormat Encoding="DECIMAL" Length="6"/></AlgorithmParameters>
///     <Data><Secret><PlainValue>MTIzNDU2Nzg5MA==</PlainValue></Secret></Data>
///   </Key></KeyPackage></KeyContainer>"#;
/// let error = Decoder::new().decode(short, None).unwrap_err();
/// assert_eq!((error.at.line, error.element.as_deref()), (4, Some("Secret")));
/// assert!(matches!(error.problem, Problem::Key(_)));
/// assert!(Decoder::new().dangerous_allow_short_keys().decode(short, None).is_ok());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    short_keys: bool,
    ignore_signature: bool,
    max_iterations: u32,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// Octets of the longest file: some ten thousand keys.
    pub const MAX_LEN: usize = 16 * 1024 * 1024;
    /// How deep elements may be nested. The deepest of RFC 6030 is at 9.
    pub const MAX_DEPTH: usize = 16;
    /// Most iterations of PBKDF2 by default: some seconds of work.
    pub const MAX_ITERATIONS: u32 = 10_000_000;
    /// Most errors that [`decode_all`](Self::decode_all) collects.
    pub const MAX_ERRORS: usize = 100;

    /// A strict decoder.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            short_keys: false,
            ignore_signature: false,
            max_iterations: Self::MAX_ITERATIONS,
        }
    }

    /// Takes keys of less than 128 bits, which RFC 4226 §4 R6 forbids, for tokens that cannot be replaced yet.
    #[must_use]
    pub const fn dangerous_allow_short_keys(self) -> Self {
        Self {
            short_keys: true,
            ..self
        }
    }

    /// Reads signed containers (RFC 6030 §7) without verifying the signature: anyone may have made them.
    #[must_use]
    pub const fn dangerous_ignore_signature(self) -> Self {
        Self {
            ignore_signature: true,
            ..self
        }
    }

    /// Sets how many iterations of PBKDF2 a file may demand.
    #[must_use]
    pub const fn with_max_iterations(self, max_iterations: u32) -> Self {
        Self {
            max_iterations,
            ..self
        }
    }

    /// Reads a container; see [`Container::decode`].
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn decode(&self, xml: &[u8], source: Option<&KeySource>) -> Result<Container, PskcError> {
        let mut errors = Vec::new();
        self.read(xml, source, &mut errors, 1)
            .and_then(|container| match errors.into_iter().next() {
                Some(error) => Err(error),
                None => Ok(container),
            })
    }

    /// Reads a container, and if that fails goes on to the next key, so that everything that is wrong is known at once.
    ///
    /// # Errors
    ///
    /// At most one error a key, in the order of the file, and no more than [`MAX_ERRORS`](Self::MAX_ERRORS). What
    /// concerns the file as a whole, a wrong passphrase for example, comes alone.
    pub fn decode_all(&self, xml: &[u8], source: Option<&KeySource>) -> Result<Container, Vec<PskcError>> {
        let mut errors = Vec::new();
        match self.read(xml, source, &mut errors, Self::MAX_ERRORS) {
            Err(error) => Err(vec![error]),
            Ok(_) if !errors.is_empty() => Err(errors),
            Ok(container) => Ok(container),
        }
    }

    /// Reads what can be read and collects what is wrong with single keys, up to `limit` of them.
    fn read(
        &self,
        octets: &[u8],
        source: Option<&KeySource>,
        errors: &mut Vec<PskcError>,
        limit: usize,
    ) -> Result<Container, PskcError> {
        let root = xml::read(octets)?;
        if !root.is_pskc || root.name() != "KeyContainer" {
            return Err(root.error(Problem::NotPskc));
        }
        // A figure of RFC 6030 itself spells the identifier in lower case.
        let children = root.children(&["Version", "Id", "id"])?;
        match root.attribute("Version") {
            Some("1.0") => {}
            Some(version) => return Err(root.error(Problem::Version(quote(version)))),
            None => return Err(root.error(Problem::Missing("Version"))),
        }
        let id = root
            .attribute("Id")
            .or_else(|| root.attribute("id"))
            .map(str::to_owned);

        let (mut encryption_key, mut mac_method, mut packages) = (None, None, Vec::new());
        for child in children {
            match child.name() {
                "EncryptionKey" => once(&mut encryption_key, child, child)?,
                "MACMethod" => once(&mut mac_method, child, child)?,
                "KeyPackage" => packages.push(child),
                "Signature" if self.ignore_signature => {}
                "Signature" => return Err(child.error(Problem::Signature)),
                _ => return Err(child.unsupported()),
            }
        }
        if packages.is_empty() {
            return Err(root.error(Problem::Missing("KeyPackage")));
        }

        let opener = Opener::new(encryption_key, mac_method, source, self.max_iterations)?;
        let mut keys = Vec::with_capacity(packages.len());
        for element in packages {
            match self.package(element, &opener) {
                Ok(package) => keys.push(package),
                // A wrong key is wrong for every value.
                Err(error) if opener.concerns_all(&error.problem) => return Err(error),
                Err(error) => errors.push(error),
            }
            if errors.len() >= limit {
                break;
            }
        }
        Ok(Container { id, keys })
    }

    fn package(&self, element: &Element, opener: &Opener) -> Result<KeyPackage, PskcError> {
        let (mut device, mut module, mut key) = (None, None, None);
        for child in element.children(&[])? {
            match child.name() {
                "DeviceInfo" => once(&mut device, device_info(child)?, child)?,
                "CryptoModuleInfo" => once(&mut module, module_id(child)?, child)?,
                "Key" => once(&mut key, self.key(child, opener)?, child)?,
                _ => return Err(child.unsupported()),
            }
        }
        Ok(KeyPackage {
            position: element.at,
            device,
            crypto_module_id: module,
            key: key.ok_or_else(|| element.error(Problem::Missing("Key")))?,
        })
    }
}

fn device_info(element: &Element) -> Result<DeviceInfo, PskcError> {
    let mut device = DeviceInfo::default();
    for child in element.children(&[])? {
        match child.name() {
            "Manufacturer" => once(&mut device.manufacturer, string(child)?, child)?,
            "SerialNo" => once(&mut device.serial_no, string(child)?, child)?,
            "Model" => once(&mut device.model, string(child)?, child)?,
            "IssueNo" => once(&mut device.issue_no, string(child)?, child)?,
            "DeviceBinding" => once(&mut device.device_binding, string(child)?, child)?,
            "StartDate" => once(&mut device.start_date, key::date(child)?, child)?,
            "ExpiryDate" => once(&mut device.expiry_date, key::date(child)?, child)?,
            "UserId" => once(&mut device.user_id, string(child)?, child)?,
            _ => return Err(child.unsupported()),
        }
    }
    Ok(device)
}

fn module_id(element: &Element) -> Result<String, PskcError> {
    let mut id = None;
    for child in element.children(&[])? {
        match child.name() {
            "Id" => once(&mut id, string(child)?, child)?,
            _ => return Err(child.unsupported()),
        }
    }
    id.ok_or_else(|| element.error(Problem::Missing("Id")))
}

fn string(element: &Element) -> Result<String, PskcError> {
    element.text().map(str::to_owned)
}

/// Fills a slot that may be filled once.
fn once<T>(slot: &mut Option<T>, value: T, element: &Element) -> Result<(), PskcError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(element.error(Problem::Repeated)),
    }
}
