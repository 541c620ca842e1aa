//! `strip_realm`, `timeout` and `retries`: what the KDC refuses, and what it takes and cannot use.

use krb5_profile::{boolean, integer, text};

use super::Context;
use crate::finding::Rule;
use crate::schedule::{Hazard, schedule};
use crate::token_type::TokenType;

/// Below this many milliseconds no server of a network answers reliably before the next copy is sent.
const SHORT_TRY: u32 = 100;

/// Seconds after which an MIT client has given up on the KDC.
const LONG_TIMEOUT: i32 = 30;

pub(super) fn lint(context: &mut Context<'_>) {
    if let Some(relation) = context.relation("strip_realm")
        && boolean(relation.value()).is_none()
    {
        let message = format!(
            "\"{}\" is not a boolean; the KDC runs without OTP",
            text(relation.value())
        );
        context.report(
            Rule::Boolean,
            Some(relation.position()),
            "strip_realm",
            &message,
            "write true or false",
        );
    }
    let timeout = number(
        context,
        "timeout",
        TokenType::DEFAULT_TIMEOUT,
        "write whole seconds, such as 5",
    );
    let retries = number(
        context,
        "retries",
        TokenType::DEFAULT_RETRIES,
        "write a number, such as 3",
    );
    let (Some(timeout), Some(retries)) = (timeout, retries) else {
        return;
    };

    let at = |key| context.relation(key).map(|relation| relation.position());
    let (timeout_at, retries_at) = (at("timeout"), at("retries"));
    let is_unix = context.server.is_unix();
    if is_unix && retries_at.is_some() {
        let message = "a UNIX socket has no retries: the KDC ignores the number";
        context.report(
            Rule::RetriesOnSocket,
            retries_at,
            "retries",
            message,
            "remove the key",
        );
    }
    let advice = "leave time for every try: timeout divided by retries + 1, one second or more";
    match schedule(&context.server, timeout, retries) {
        Err(hazard @ (Hazard::NegativeTimer | Hazard::NoEnd)) => {
            let message = format!("{timeout} seconds cannot be used: {hazard}");
            let advice = "write whole seconds between 1 and 30, such as 5";
            context.report(Rule::Timeout, timeout_at, "timeout", &message, advice);
        }
        Err(hazard) if timeout == 0 => {
            let message = format!("0 seconds cannot be used: {hazard}");
            context.report(Rule::Timeout, timeout_at, "timeout", &message, advice);
        }
        Err(hazard) if retries < 0 => {
            let message = format!("{retries} retries cannot be used: {hazard}");
            let advice = "write 0 or more; 0 sends once";
            context.report(Rule::Retries, retries_at, "retries", &message, advice);
        }
        Err(hazard) => {
            let message = format!("{timeout} seconds for {retries} retries cannot be used: {hazard}");
            context.report(
                Rule::PerTry,
                retries_at.or(timeout_at),
                "retries",
                &message,
                advice,
            );
        }
        Ok(schedule) if schedule.per_try_ms < SHORT_TRY => {
            let message = format!(
                "every try has {} ms before the next copy is sent",
                schedule.per_try_ms
            );
            context.report(
                Rule::PerTryShort,
                retries_at.or(timeout_at),
                "retries",
                &message,
                advice,
            );
        }
        Ok(_) if timeout > LONG_TIMEOUT => {
            let message =
                format!("clients do not wait {timeout} seconds, and the KDC holds the request that long");
            context.report(
                Rule::TimeoutLong,
                timeout_at,
                "timeout",
                &message,
                "write 30 seconds or less",
            );
        }
        Ok(_) => {}
    }
}

/// The number that counts for `key`; `None` if it is malformed, which is reported.
fn number(context: &mut Context<'_>, key: &str, default: i32, advice: &str) -> Option<i32> {
    let Some(relation) = context.relation(key) else {
        return Some(default);
    };
    let number = integer(relation.value());
    if number.is_none() {
        let message = format!(
            "\"{}\" is not a whole number; the KDC runs without OTP",
            text(relation.value())
        );
        context.report(Rule::Integer, Some(relation.position()), key, &message, advice);
    }
    number
}
