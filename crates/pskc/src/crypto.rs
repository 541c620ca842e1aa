//! The ciphers, MACs and key derivation of encrypted containers (RFC 6030 §6).

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::block_padding::{Iso10126, Pkcs7};
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use hmac::{Hmac, KeyInit, Mac};
use rand::CryptoRng;
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use crate::uri::{DS, DS_MORE, XENC};

/// Octets of an AES block, and of an initialization vector.
pub(crate) const BLOCK: usize = 16;

/// AES in CBC mode (XML Encryption §5.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cipher {
    Aes128,
    Aes192,
    Aes256,
}

impl Cipher {
    const ALL: [Self; 3] = [Self::Aes128, Self::Aes192, Self::Aes256];

    /// Octets of a key.
    pub(crate) const fn key_len(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Aes128 => "aes128-cbc",
            Self::Aes192 => "aes192-cbc",
            Self::Aes256 => "aes256-cbc",
        }
    }

    pub(crate) fn uri(self) -> String {
        format!("{XENC}{}", self.name())
    }

    pub(crate) fn read(uri: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|cipher| uri.strip_prefix(XENC) == Some(cipher.name()))
    }

    /// The cipher for keys of `len` octets.
    pub(crate) fn of_key_len(len: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|cipher| cipher.key_len() == len)
    }

    /// Encrypts under a fresh initialization vector, which goes in front of the ciphertext; `None` if the key is of
    /// another cipher.
    pub(crate) fn encrypt(self, key: &[u8], plaintext: &[u8], rng: &mut impl CryptoRng) -> Option<Vec<u8>> {
        // PKCS #7 is one of the paddings that XML Encryption §5.2 allows, and the one that every reader takes.
        let mut octets = Zeroizing::new(vec![0; BLOCK]);
        rng.fill_bytes(&mut octets);
        let iv = octets.clone();
        octets.resize(plaintext.len().saturating_add(BLOCK), 0);
        octets.extend_from_slice(&[0; BLOCK]);
        let body = octets.get_mut(BLOCK..)?;
        body.get_mut(..plaintext.len())?.copy_from_slice(plaintext);
        let len = plaintext.len();
        let len = match self {
            Self::Aes128 => padded::<cbc::Encryptor<Aes128>>(key, &iv, body, len),
            Self::Aes192 => padded::<cbc::Encryptor<Aes192>>(key, &iv, body, len),
            Self::Aes256 => padded::<cbc::Encryptor<Aes256>>(key, &iv, body, len),
        }?;
        octets.get(..len.checked_add(BLOCK)?).map(<[u8]>::to_vec)
    }

    /// Decrypts what begins with its initialization vector; `None` if the padding is wrong, or any length.
    pub(crate) fn decrypt(self, key: &[u8], octets: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (iv, ciphertext) = octets.split_at_checked(BLOCK)?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let len = match self {
            Self::Aes128 => unpadded::<cbc::Decryptor<Aes128>>(key, iv, &mut buffer),
            Self::Aes192 => unpadded::<cbc::Decryptor<Aes192>>(key, iv, &mut buffer),
            Self::Aes256 => unpadded::<cbc::Decryptor<Aes256>>(key, iv, &mut buffer),
        }?;
        buffer.truncate(len);
        Some(buffer)
    }
}

fn padded<C: KeyIvInit + BlockModeEncrypt>(
    key: &[u8],
    iv: &[u8],
    buffer: &mut [u8],
    len: usize,
) -> Option<usize> {
    let cipher = C::new_from_slices(key, iv).ok()?;
    Some(cipher.encrypt_padded::<Pkcs7>(buffer, len).ok()?.len())
}

/// XML Encryption §5.2: the last octet says how many were added, the others are anything. That is ISO 10126.
fn unpadded<C: KeyIvInit + BlockModeDecrypt>(key: &[u8], iv: &[u8], buffer: &mut [u8]) -> Option<usize> {
    let cipher = C::new_from_slices(key, iv).ok()?;
    Some(cipher.decrypt_padded::<Iso10126>(buffer).ok()?.len())
}

/// HMAC with one of the hash functions of XML Signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MacAlgorithm {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl MacAlgorithm {
    const ALL: [Self; 5] = [Self::Sha1, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    pub(crate) fn uri(self) -> String {
        match self {
            Self::Sha1 => format!("{DS}hmac-sha1"),
            Self::Sha224 => format!("{DS_MORE}hmac-sha224"),
            Self::Sha256 => format!("{DS_MORE}hmac-sha256"),
            Self::Sha384 => format!("{DS_MORE}hmac-sha384"),
            Self::Sha512 => format!("{DS_MORE}hmac-sha512"),
        }
    }

    pub(crate) fn read(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.uri() == uri)
    }

    pub(crate) fn mac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => keyed::<Hmac<Sha1>>(key, message).finalize().into_bytes().to_vec(),
            Self::Sha224 => keyed::<Hmac<Sha224>>(key, message)
                .finalize()
                .into_bytes()
                .to_vec(),
            Self::Sha256 => keyed::<Hmac<Sha256>>(key, message)
                .finalize()
                .into_bytes()
                .to_vec(),
            Self::Sha384 => keyed::<Hmac<Sha384>>(key, message)
                .finalize()
                .into_bytes()
                .to_vec(),
            Self::Sha512 => keyed::<Hmac<Sha512>>(key, message)
                .finalize()
                .into_bytes()
                .to_vec(),
        }
    }

    /// Compares in constant time; a MAC that was cut is none.
    pub(crate) fn verify(self, key: &[u8], message: &[u8], mac: &[u8]) -> bool {
        match self {
            Self::Sha1 => keyed::<Hmac<Sha1>>(key, message).verify_slice(mac).is_ok(),
            Self::Sha224 => keyed::<Hmac<Sha224>>(key, message).verify_slice(mac).is_ok(),
            Self::Sha256 => keyed::<Hmac<Sha256>>(key, message).verify_slice(mac).is_ok(),
            Self::Sha384 => keyed::<Hmac<Sha384>>(key, message).verify_slice(mac).is_ok(),
            Self::Sha512 => keyed::<Hmac<Sha512>>(key, message).verify_slice(mac).is_ok(),
        }
    }

    /// PBKDF2 (RFC 8018 §5.2) with this HMAC as its pseudorandom function.
    pub(crate) fn pbkdf2(
        self,
        passphrase: &[u8],
        salt: &[u8],
        iterations: u32,
        len: usize,
    ) -> Zeroizing<Vec<u8>> {
        let mut key = Zeroizing::new(vec![0; len]);
        match self {
            Self::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(passphrase, salt, iterations, &mut key),
            Self::Sha224 => pbkdf2::pbkdf2_hmac::<Sha224>(passphrase, salt, iterations, &mut key),
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(passphrase, salt, iterations, &mut key),
            Self::Sha384 => pbkdf2::pbkdf2_hmac::<Sha384>(passphrase, salt, iterations, &mut key),
            Self::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(passphrase, salt, iterations, &mut key),
        }
        key
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 §2)")]
fn keyed<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> M {
    <M as KeyInit>::new_from_slice(key)
        .expect("any length is allowed")
        .chain_update(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        otp_core::hex::decode(text).unwrap().to_vec()
    }

    /// RFC 3602 §4, case 2: 32 octets `00 01 … 1f`, without padding.
    #[test]
    fn cbc_matches_rfc3602() {
        let key = unhex("c286696d887c9aa0611bbb3e2025a45a");
        let expected = "562e17996d093d28ddb3ba695a2e6f58d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1";
        let plaintext: Vec<u8> = (0..32).collect();
        let octets = unpadded_ciphertext(&key, &unhex(&expected[..32]), &plaintext);
        assert_eq!(octets, unhex(expected));
        // The last octet, 1f, is too long for a padding.
        assert!(Cipher::Aes128.decrypt(&key, &octets).is_none());
    }

    /// XML Encryption §5.2 leaves all but the last octet of a padding open, which PKCS #7 does not.
    #[test]
    fn any_filling_is_padding() {
        let key = [9; 16];
        for (count, expected) in [
            (0, None),
            (1, Some(15)),
            (4, Some(12)),
            (16, Some(0)),
            (17, None),
            (255, None),
        ] {
            let mut block: Vec<u8> = (100..116).collect();
            block[15] = count;
            let octets = unpadded_ciphertext(&key, &[3; BLOCK], &block);
            let plaintext = Cipher::Aes128.decrypt(&key, &octets);
            assert_eq!(plaintext.as_deref().map(Vec::len), expected, "{count}");
            if let (Some(plaintext), Some(len)) = (plaintext, expected) {
                assert_eq!(*plaintext, block[..len]);
            }
        }
    }

    fn unpadded_ciphertext(key: &[u8], iv: &[u8], plaintext: &[u8]) -> Vec<u8> {
        use cbc::cipher::block_padding::NoPadding;
        let mut buffer = plaintext.to_vec();
        let cipher = cbc::Encryptor::<Aes128>::new_from_slices(key, iv).unwrap();
        cipher
            .encrypt_padded::<NoPadding>(&mut buffer, plaintext.len())
            .unwrap();
        [iv, &buffer].concat()
    }

    #[test]
    fn every_length_survives_encryption() {
        use std::convert::Infallible;
        struct Sevens;
        impl rand::TryRng for Sevens {
            type Error = Infallible;
            fn try_next_u32(&mut self) -> Result<u32, Infallible> {
                Ok(7)
            }
            fn try_next_u64(&mut self) -> Result<u64, Infallible> {
                Ok(7)
            }
            fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), Infallible> {
                octets.fill(7);
                Ok(())
            }
        }
        impl rand::TryCryptoRng for Sevens {}
        for cipher in Cipher::ALL {
            let key = vec![5; cipher.key_len()];
            for len in 0..=40_u8 {
                let plaintext: Vec<u8> = (0..len).collect();
                let octets = cipher.encrypt(&key, &plaintext, &mut Sevens).unwrap();
                assert_eq!(octets.len(), usize::from(len) / BLOCK * BLOCK + 2 * BLOCK);
                assert_eq!(**cipher.decrypt(&key, &octets).as_ref().unwrap(), plaintext);
            }
            assert!(cipher.encrypt(&[5; 5], b"", &mut Sevens).is_none());
            assert!(cipher.decrypt(&[5; 5], &[0; 32]).is_none());
        }
    }

    /// RFC 6070 §2, rows 2 and 3.
    #[test]
    fn pbkdf2_matches_rfc6070() {
        for (iterations, expected) in [
            (2, "ea6c014dc72d6f8ccd1ed92ace1d41f0"),
            (4096, "4b007901b765489abead49d926f721d0"),
        ] {
            let key = MacAlgorithm::Sha1.pbkdf2(b"password", b"salt", iterations, 16);
            assert_eq!(*key, unhex(expected));
        }
    }

    #[test]
    fn names_read_back() {
        for cipher in Cipher::ALL {
            assert_eq!(Cipher::read(&cipher.uri()), Some(cipher));
            assert_eq!(Cipher::of_key_len(cipher.key_len()), Some(cipher));
        }
        for algorithm in MacAlgorithm::ALL {
            assert_eq!(MacAlgorithm::read(&algorithm.uri()), Some(algorithm));
            assert!(algorithm.verify(b"k", b"m", &algorithm.mac(b"k", b"m")));
            assert!(!algorithm.verify(b"k", b"m", &algorithm.mac(b"k", b"m")[1..]));
            assert!(!algorithm.verify(b"k", b"m", b""));
        }
        assert_eq!(
            Cipher::read("http://www.w3.org/2001/04/xmlenc#tripledes-cbc"),
            None
        );
        assert_eq!(MacAlgorithm::read("hmac-sha1"), None);
    }
}
