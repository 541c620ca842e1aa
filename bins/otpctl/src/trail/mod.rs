//! Reading the audit trail: records as fields, and chains as one sequence.

mod pages;
mod told;

pub(crate) use pages::Pages;
pub(crate) use told::Told;
