//! Which benchmarks go into the table of which crate, and what each of them is held against.

/// The table of one crate's README.
#[derive(Debug)]
pub(super) struct Table {
    /// The crate.
    pub(super) package: &'static str,
    /// The programs in `benches/benches` that measure it.
    pub(super) programs: &'static [&'static str],
    /// Debian packages of the C libraries in it.
    pub(super) libraries: &'static [&'static str],
    /// Its rows, in order.
    pub(super) rows: &'static [Row],
}

/// One line of a table.
#[derive(Debug)]
pub(super) struct Row {
    /// The work, for people.
    pub(super) work: &'static str,
    /// The benchmark, as criterion names it: `group/function`.
    pub(super) bench: &'static str,
    /// What it is held against.
    pub(super) beside: Beside,
    /// The ratio that it is to have: at most to a floor, at least to a peer.
    pub(super) goal: Option<f64>,
    /// An extension of the instruction set without which the benchmark is left out.
    pub(super) needs: Option<&'static str>,
    /// A footnote.
    pub(super) note: Option<&'static str>,
    /// A footnote if the goal is missed.
    pub(super) missed_because: Option<&'static str>,
}

/// What a benchmark is held against.
#[derive(Debug)]
pub(super) enum Beside {
    /// Nothing else does this work.
    Nothing,
    /// Work that cannot be avoided; the ratio says how many times its time is taken.
    Floor(Other),
    /// The same work, done by other means; the ratio says how many times as fast ours is.
    Peer(Other),
}

/// Another benchmark.
#[derive(Debug)]
pub(super) struct Other {
    /// The work, for people.
    pub(super) work: &'static str,
    /// As criterion names it.
    pub(super) bench: &'static str,
}

impl Beside {
    /// The other benchmark.
    pub(super) const fn other(&self) -> Option<&Other> {
        match self {
            Self::Nothing => None,
            Self::Floor(other) | Self::Peer(other) => Some(other),
        }
    }
}

impl Row {
    pub(super) const fn new(work: &'static str, bench: &'static str) -> Self {
        Self {
            work,
            bench,
            beside: Beside::Nothing,
            goal: None,
            needs: None,
            note: None,
            missed_because: None,
        }
    }

    pub(super) const fn floor(mut self, work: &'static str, bench: &'static str) -> Self {
        self.beside = Beside::Floor(Other { work, bench });
        self
    }

    pub(super) const fn peer(mut self, work: &'static str, bench: &'static str) -> Self {
        self.beside = Beside::Peer(Other { work, bench });
        self
    }

    pub(super) const fn goal(mut self, ratio: f64) -> Self {
        self.goal = Some(ratio);
        self
    }

    pub(super) const fn needs(mut self, extension: &'static str) -> Self {
        self.needs = Some(extension);
        self
    }

    pub(super) const fn note(mut self, note: &'static str) -> Self {
        self.note = Some(note);
        self
    }

    pub(super) const fn missed_because(mut self, reason: &'static str) -> Self {
        self.missed_because = Some(reason);
        self
    }
}

/// All of them, in the order in which they are measured.
pub(super) const TABLES: [Table; 7] = [
    Table {
        package: "otp-core",
        programs: &["hotp", "hotp_ratios"],
        libraries: &["liboath-dev"],
        rows: &OTP_CORE,
    },
    Table {
        package: "krad",
        programs: &["radius"],
        libraries: &[],
        rows: &KRAD,
    },
    Table {
        package: "krb5-profile",
        programs: &["profile"],
        libraries: &["libkrb5-dev"],
        rows: &KRB5_PROFILE,
    },
    Table {
        package: "kdc-otp-config",
        programs: &["otp_config"],
        libraries: &[],
        rows: &KDC_OTP_CONFIG,
    },
    Table {
        package: "otp-userstring",
        programs: &["userstring"],
        libraries: &["libkrb5-dev"],
        rows: &OTP_USERSTRING,
    },
    Table {
        package: "kdc-otp",
        programs: &["kdc_otp"],
        libraries: &[],
        rows: &KDC_OTP,
    },
    Table {
        package: "pskc",
        programs: &["pskc"],
        libraries: &["libpskc-dev"],
        rows: &PSKC,
    },
];

const OTP_CORE: [Row; 12] = {
    const PREPARED: &str = "generate from an absorbed key/SHA1";
    const SCALAR: &str = "search 1000 counters/verify, lanes: One";
    const AVX2: &str = "search 1000 counters/verify, lanes: Eight";
    const AVX512: &str = "search 1000 counters/verify, lanes: Sixteen";
    const ONE_BY_ONE: &str = "search 1000 counters/one code after the other";
    const LIBOATH: &str = "search 1000 counters/liboath";
    [
        Row::new("one code from an absorbed key", PREPARED)
            .floor(
                "its two compressions of SHA-1 (`sha1` crate)",
                "generate from an absorbed key/2 compressions of SHA-1",
            )
            .goal(1.15),
        Row::new("one code from a key", "generate/SHA1").peer("totp-rs 6", "generate/SHA1, totp-rs"),
        Row::new("one code from a key", "generate/SHA1").peer("liboath", "generate/SHA1, liboath"),
        Row::new("one code from a key, SHA-256", "generate/SHA256"),
        Row::new("one code from a key, SHA-512", "generate/SHA512"),
        Row::new(
            "verify TOTP, a wrong code, ±1 step",
            "verify TOTP, 1 step on either side/wrong code",
        )
        .peer(
            "totp-rs 6",
            "verify TOTP, 1 step on either side/wrong code, totp-rs",
        ),
        Row::new("search 1000 counters, one lane", SCALAR).peer("liboath", LIBOATH),
        Row::new("search 1000 counters, AVX2", AVX2)
            .needs("AVX2")
            .peer("liboath", LIBOATH),
        Row::new("search 1000 counters, AVX2", AVX2)
            .needs("AVX2")
            .peer("one code after the other", ONE_BY_ONE)
            .goal(2.5)
            .missed_because(
                "AVX2 rotates with two shifts and combines three values with two operations: 2386 operations for 8 codes, at most \
                 2.4 × as fast on three vector ports as one code after the other, which runs on the SHA instructions of the \
                 same processor.",
            ),
        Row::new("search 1000 counters, AVX-512", AVX512)
            .needs("AVX-512")
            .peer("liboath", LIBOATH)
            .goal(25.0),
        Row::new("search 1000 counters, AVX-512", AVX512)
            .needs("AVX-512")
            .peer("one code after the other", ONE_BY_ONE)
            .goal(5.0),
        Row::new(
            "resynchronize HOTP, 1000 counters",
            "resynchronize HOTP, 1000 counters",
        ),
    ]
};

const KRAD: [Row; 6] = {
    const REPLY: &str = "RADIUS, beside the radius crate/krad: decode and verify a reply";
    [
        Row::new(
            "decode an Access-Request, verify it, reveal the password, sign the reply",
            "RADIUS, one request of a KDC/decode + verify + reveal + reply",
        )
        .floor(
            "the MD5 and HMAC-MD5 in it (`md-5`)",
            "RADIUS, one request of a KDC/the bare digests of the same",
        )
        .goal(1.3),
        Row::new(
            "decode and verify an Access-Request",
            "RADIUS, one request of a KDC/decode + verify",
        ),
        Row::new(
            "decode an Access-Request",
            "RADIUS, beside the radius crate/krad: decode a request",
        )
        .peer(
            "`radius` 0.4",
            "RADIUS, beside the radius crate/radius: decode a request",
        )
        .goal(3.0)
        .note("Without verification, for a like comparison: `radius` can verify nothing in an Access-Request."),
        Row::new("decode and verify a reply", REPLY)
            .floor(
                "the MD5 in it (`md-5`)",
                "RADIUS, beside the radius crate/the bare MD5 of a reply",
            )
            .goal(1.3),
        Row::new("decode and verify a reply", REPLY)
            .peer(
                "`radius` 0.4",
                "RADIUS, beside the radius crate/radius: decode and verify a reply",
            )
            .note(
                "A reply without Message-Authenticator, so that both verify the same: the Response Authenticator, one MD5. \
                 That is the floor of both, and the row above tells how near it is.",
            ),
        Row::new("cut a packet out of a stream", "RADIUS, one request of a KDC/frame"),
    ]
};

const KRB5_PROFILE: [Row; 3] = [
    Row::new(
        "read kdc.conf and krb5.conf, 41 relations",
        "profile, kdc.conf and krb5.conf/krb5-profile",
    )
    .peer("libkrb5", "profile, kdc.conf and krb5.conf/libkrb5"),
    Row::new("read 10,000 relations", "profile, 10,000 relations/krb5-profile")
        .peer("libkrb5", "profile, 10,000 relations/libkrb5"),
    Row::new(
        "the last value of 10,000",
        "profile, a value among 10,000/krb5-profile",
    )
    .peer("libkrb5", "profile, a value among 10,000/libkrb5"),
];

const KDC_OTP_CONFIG: [Row; 2] = [
    Row::new(
        "read and lint kdc.conf and krb5.conf, three token types",
        "[otp], three token types/read and lint",
    )
    .floor(
        "reading the files alone (`krb5-profile`)",
        "[otp], three token types/read the profile alone",
    ),
    Row::new(
        "read and lint a hundred token types",
        "[otp], a hundred token types/read and lint",
    )
    .floor(
        "reading the file alone (`krb5-profile`)",
        "[otp], a hundred token types/read the profile alone",
    ),
];

const OTP_USERSTRING: [Row; 6] = {
    const MORE: &str = "The others read JSON and stop there: `otp-userstring` also finds the tokens in it as the KDC does, \
                        and what their author may not have meant.";
    [
        Row::new("decode 1 token", "user string, 1 token/decode")
            .peer(
                "serde_json, into a struct",
                "user string, 1 token/decode, serde_json",
            )
            .note(MORE),
        Row::new("decode 1 token", "user string, 1 token/decode")
            .peer("libkrb5support", "user string, 1 token/decode, libkrb5support")
            .note(MORE),
        Row::new("decode 100 tokens", "user string, 100 tokens/decode")
            .peer(
                "serde_json, into structs",
                "user string, 100 tokens/decode, serde_json",
            )
            .note(MORE),
        Row::new("decode 100 tokens", "user string, 100 tokens/decode")
            .peer("libkrb5support", "user string, 100 tokens/decode, libkrb5support")
            .note(MORE),
        Row::new("encode 1 token", "user string, 1 token/encode")
            .peer("serde_json", "user string, 1 token/encode, serde_json"),
        Row::new("encode 100 tokens", "user string, 100 tokens/encode")
            .peer("serde_json", "user string, 100 tokens/encode, serde_json"),
    ]
};

const KDC_OTP: [Row; 1] = [Row::new(
    "a login through two tokens, replies in hand",
    "a login through two tokens/kdc-otp",
)
.floor(
    "the MD5 in its two requests and two replies",
    "a login through two tokens/the bare digests of the same",
)
.note("Reads the user string, composes two requests, verifies two replies. The KDC's own module runs in no other program.")];

const PSKC: [Row; 3] = [
    Row::new("read 1 plain key", "PSKC, 1 plain key/pskc").peer("libpskc", "PSKC, 1 plain key/libpskc"),
    Row::new("read 1,000 plain keys", "PSKC, 1,000 plain keys/pskc")
        .peer("libpskc", "PSKC, 1,000 plain keys/libpskc"),
    Row::new(
        "read 1 key, AES-128-CBC and HMAC-SHA-256",
        "PSKC, 1 key, AES-128-CBC and HMAC-SHA-256/pskc",
    )
    .floor(
        "the ciphers alone",
        "PSKC, 1 key, AES-128-CBC and HMAC-SHA-256/the ciphers alone",
    )
    .note("libpskc reads no encrypted containers. Most of the time goes into the XML."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::BENCHED;

    #[test]
    fn what_a_row_names_is_there() {
        for table in &TABLES {
            for library in table.libraries {
                assert!(
                    BENCHED.iter().any(|package| package.name == *library),
                    "{library}"
                );
            }
            for row in table.rows {
                let other = row.beside.other();
                assert!(other.is_none_or(|other| other.bench != row.bench), "{row:?}");
                assert!(
                    other.is_some() || row.goal.is_none(),
                    "{row:?}: a goal is a ratio to something"
                );
                assert!(row.goal.is_some() || row.missed_because.is_none(), "{row:?}");
            }
        }
    }
}
