//! Key containers: total, bounded, with printable errors in order; what decodes encodes back, also sealed.

use std::convert::Infallible;

use pskc::{Container, Credential, Decoder, KeySource, Passphrase, PreSharedKey, Problem, Protection};

/// Randomness that every run draws the same of.
struct Counted(u64);

impl rand::TryRng for Counted {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let [a, b, c, d, ..] = self.try_next_u64()?.to_le_bytes();
        Ok(u32::from_le_bytes([a, b, c, d]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), Infallible> {
        for octet in octets {
            *octet = self.try_next_u64()?.to_le_bytes()[4];
        }
        Ok(())
    }
}

impl rand::TryCryptoRng for Counted {}

/// Everything but the places.
fn show(container: &Container) -> String {
    let mut text = format!("{:?}", container.id);
    for package in &container.keys {
        let secret = match &package.key.credential {
            Credential::Pin(pin) => pin.as_bytes(),
            other => other.token_key().expect("a key").as_bytes(),
        };
        text += &format!(
            "{:?} {:?} {:?} {secret:?}",
            package.device, package.crypto_module_id, package.key
        );
    }
    text
}

/// Checks any file.
pub fn check(octets: &[u8]) {
    // The keys of figures 6 and 7 of RFC 6030, so that mutations of them are opened.
    let pre_shared = PreSharedKey::new(&[
        0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56, 0x78, 0x90, 0x12,
    ])
    .expect("16 octets");
    let passphrase = KeySource::from(Passphrase::new(b"qwerty").expect("not empty"));
    let decoder = Decoder::new()
        .dangerous_allow_short_keys()
        .with_max_iterations(2000);
    for source in [
        None,
        Some(&passphrase),
        Some(&KeySource::from(pre_shared.clone())),
    ] {
        let all = decoder.decode_all(octets, source);
        match decoder.decode(octets, source) {
            Ok(container) => {
                assert_eq!(show(&container), show(&all.expect("one and all agree")));
                // An Id outside of XML names is read, but not written.
                let mut container = container;
                container.id = None;
                let rng = &mut Counted(1);
                for protection in [
                    Protection::Plain,
                    Protection::PreSharedKey {
                        name: "k",
                        key: &pre_shared,
                    },
                ] {
                    let xml = container
                        .encode(&protection, rng)
                        .expect("what was read can be written");
                    let source = KeySource::from(pre_shared.clone());
                    let again = decoder
                        .decode(xml.as_bytes(), Some(&source))
                        .expect("what was written can be read");
                    assert_eq!(show(&again), show(&container));
                }
            }
            Err(error) => {
                let errors = all.expect_err("one and all agree");
                assert!(errors.len() <= Decoder::MAX_ERRORS);
                let alone = matches!(
                    errors[0].problem,
                    Problem::KeyNeeded { .. } | Problem::NotAuthentic | Problem::KeyLength { .. }
                );
                assert!(alone || errors[0] == error);
                assert!(errors.windows(2).all(|pair| pair[0].at <= pair[1].at));
                assert!(
                    !errors
                        .iter()
                        .any(|error| error.to_string().chars().any(char::is_control))
                );
            }
        }
    }
}
