//! `otp-userstring` reads and writes the `otp` string of a principal; beside serde_json into a struct, and beside the
//! JSON library of the KDC.
//!
//! The others read JSON. `otp-userstring` also finds the tokens in it and what their author may not have meant.
//! `--features libkrb5` adds the KDC's library (Debian: `libkrb5-dev`).
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::expect_used, reason = "a bench of a failure measures nothing")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use otp_userstring::{Token, UserString};
use serde::{Deserialize, Serialize};

#[cfg(feature = "libkrb5")]
#[path = "libkrb5/json.rs"]
mod libkrb5;

/// A token as a program writes it down that knows JSON, but not the KDC.
#[derive(Deserialize, Serialize)]
struct Typed {
    #[serde(rename = "type")]
    token_type: Option<String>,
    username: Option<String>,
    indicators: Option<Vec<String>>,
}

/// One token with everything in it, or a hundred of them.
fn user_string(tokens: u32) -> UserString {
    let token = |n| {
        Token::default()
            .with_type(format!("type{n}"))?
            .with_username(format!("alice-{n}"))?
            .with_indicators(["otp", "hardware"])
    };
    let tokens: Result<Vec<Token>, _> = (0..tokens).map(token).collect();
    tokens.and_then(UserString::new).expect("within all limits")
}

fn userstring(c: &mut Criterion) {
    for (name, tokens) in [("1 token", 1), ("100 tokens", 100)] {
        let value = user_string(tokens);
        let text = value.to_json();
        let decoded = UserString::decode(text.as_bytes()).expect("what is written reads back");
        assert!(decoded.user_string == value && decoded.warnings.is_empty());
        let typed: Vec<Typed> = serde_json::from_str(&text).expect("it is JSON");
        assert_eq!(typed.len(), value.tokens().len());

        let mut group = c.benchmark_group(format!("user string, {name}"));
        group.throughput(Throughput::Elements(tokens.into()));
        group.bench_function("decode", |b| {
            b.iter(|| UserString::decode(black_box(text.as_bytes())).expect("well-formed"));
        });
        group.bench_function("decode, serde_json", |b| {
            b.iter(|| serde_json::from_slice::<Vec<Typed>>(black_box(text.as_bytes())).expect("well-formed"));
        });
        #[cfg(feature = "libkrb5")]
        {
            let text = std::ffi::CString::new(text.as_str()).expect("there is no NUL in it");
            group.bench_function("decode, libkrb5support", |b| {
                b.iter(|| assert!(libkrb5::decode(black_box(&text))));
            });
        }
        group.bench_function("encode", |b| b.iter(|| black_box(&value).to_json()));
        group.bench_function("encode, serde_json", |b| {
            b.iter(|| serde_json::to_string(black_box(&typed)).expect("it can be written"));
        });
        group.finish();
    }
}

criterion_group!(benches, userstring);
criterion_main!(benches);
