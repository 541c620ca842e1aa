//! What a dictionary defines: attributes, their types and flags, vendors.

use std::{fmt, str::FromStr};

use crate::{VendorFormat, VendorId};

/// Where an attribute stands: its number, and before it the numbers of what it is nested in.
///
/// `1` is User-Name, `26.9.1` Cisco's first attribute (Vendor-Specific, Vendor-Id, type), `241.1` an extended one
/// (RFC 6929), `26.24757.1.2` a TLV in WiMAX's first attribute.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid(Box<[u32]>);

impl Oid {
    /// The numbers, outermost first; at least one.
    #[must_use]
    pub fn numbers(&self) -> &[u32] {
        &self.0
    }

    /// This position with one more number.
    pub(super) fn child(&self, number: u32) -> Self {
        self.numbers().iter().copied().chain([number]).collect()
    }
}

impl std::borrow::Borrow<[u32]> for Oid {
    fn borrow(&self) -> &[u32] {
        self.numbers()
    }
}

impl FromIterator<u32> for Oid {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        Self(numbers.into_iter().collect())
    }
}

/// Numbers with dots between them.
impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.numbers().iter().enumerate() {
            write!(f, "{}{number}", if index == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An attribute that a dictionary defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Name, as the dictionary spells it.
    pub name: String,
    /// Position.
    pub oid: Oid,
    /// Type of the value.
    pub data_type: DataType,
    /// Length of the value in octets, where the dictionary fixes it: `octets[16]`.
    pub length: Option<u16>,
    /// What else there is to know.
    pub flags: Flags,
}

/// Flags of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// `has_tag`: the value begins with the tag of a tunnel (RFC 2868).
    pub has_tag: bool,
    /// `encrypt=`: how the value is hidden on the wire.
    pub encryption: Option<Encryption>,
    /// `array`: the value is several of its type, one after the other.
    pub array: bool,
    /// `concat`: attributes of this type that follow each other are one value (RFC 7268).
    pub concat: bool,
    /// `secret`: the value is no text for logs.
    pub secret: bool,
    /// `virtual`: a value of a program's own, never on the wire.
    pub is_virtual: bool,
}

/// How a value is hidden on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encryption {
    /// `encrypt=1`: as User-Password (RFC 2865 §5.2).
    UserPassword,
    /// `encrypt=2`: as Tunnel-Password (RFC 2868 §3.5).
    TunnelPassword,
    /// `encrypt=3`: as Ascend-Send-Secret.
    AscendSecret,
}

/// A vendor that a dictionary defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vendor {
    /// Name, as the dictionary spells it.
    pub name: String,
    /// Number.
    pub id: VendorId,
    /// How it lays out its attributes.
    pub format: VendorFormat,
}

/// Constants and spellings of a type.
macro_rules! data_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal $(| $synonym:literal)*;)*) => {
        /// Type of a value (RFC 8044, in the spelling of FreeRADIUS).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum DataType {
            $($(#[$doc])* $variant,)*
        }

        impl DataType {
            /// The usual spellings, for an operator who used another.
            pub(super) const NAMES: &'static [&'static str] = &[$($name),*];

            /// Name in dictionaries.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        /// Reads a name as dictionaries spell it, in any case.
        impl FromStr for DataType {
            type Err = UnknownDataType;

            fn from_str(name: &str) -> Result<Self, UnknownDataType> {
                match name.to_ascii_lowercase().as_str() {
                    $($name $(| $synonym)* => Ok(Self::$variant),)*
                    _ => Err(UnknownDataType),
                }
            }
        }
    };
}

data_types! {
    /// Text, mostly UTF-8.
    String = "string" | "text";
    /// Octets.
    Octets = "octets";
    /// IPv4 address: 4 octets.
    Ipaddr = "ipaddr" | "ipv4addr";
    /// IPv4 prefix: a reserved octet, its length in bits, the address (RFC 6572).
    Ipv4prefix = "ipv4prefix" | "cidr";
    /// IPv6 address: 16 octets.
    Ipv6addr = "ipv6addr";
    /// IPv6 prefix: a reserved octet, its length in bits, up to 16 octets (RFC 3162 §2.3).
    Ipv6prefix = "ipv6prefix";
    /// IPv4 or IPv6 address; its length tells.
    ComboIp = "combo-ip";
    /// Unsigned integer of 32 bits.
    Integer = "integer" | "uint32";
    /// Unsigned integer of 64 bits.
    Integer64 = "integer64" | "uint64";
    /// Signed integer of 32 bits.
    Signed = "signed" | "int32";
    /// Unsigned integer of 8 bits.
    Byte = "byte" | "uint8";
    /// Unsigned integer of 16 bits.
    Short = "short" | "uint16";
    /// Seconds since the Unix epoch: 32 bits, unsigned.
    Date = "date";
    /// Interface-Id: 8 octets (RFC 3162 §2.2).
    Ifid = "ifid";
    /// Ethernet address: 6 octets.
    Ether = "ether";
    /// Ascend's binary filters; octets to this crate.
    Abinary = "abinary";
    /// Attributes, with Type and Length of one octet each (RFC 6929 §2.3).
    Tlv = "tlv";
    /// Vendor-Specific (RFC 2865 §5.26).
    Vsa = "vsa";
    /// Extended type (RFC 6929 §2.1).
    Extended = "extended";
    /// Long extended type (RFC 6929 §2.2).
    LongExtended = "long-extended";
    /// Extended vendor-specific (RFC 6929 §2.4).
    Evs = "evs";
}

impl DataType {
    /// Octets of an integer; `None` for other types.
    #[must_use]
    pub const fn integer_octets(self) -> Option<u8> {
        match self {
            Self::Byte => Some(1),
            Self::Short => Some(2),
            Self::Integer | Self::Signed | Self::Date => Some(4),
            Self::Integer64 => Some(8),
            _ => None,
        }
    }

    /// Whether attributes can be nested in a value of this type.
    pub(super) const fn nests(self) -> bool {
        matches!(
            self,
            Self::Tlv | Self::Vsa | Self::Extended | Self::LongExtended | Self::Evs
        )
    }
}

/// Not the name of a [`DataType`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown type; known are {}", DataType::NAMES.join(", "))]
pub struct UnknownDataType;
