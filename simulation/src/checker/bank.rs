//! Accounts inside one document: transfers keep the sum, whoever reads sees whole transfers, and no account is overdrawn.

use std::collections::BTreeMap;

use crate::checker::Violation;

const PROPERTY: &str = "transfers keep the sum";

/// The accounts, by name.
pub type Accounts = BTreeMap<String, i64>;

/// Checks one read of the accounts against those that there were in the beginning.
pub fn check(opened: &Accounts, read: &Accounts) -> Result<(), Violation> {
    let sum = |accounts: &Accounts| accounts.values().sum::<i64>();
    let evidence = if !read.keys().eq(opened.keys()) {
        format!("the accounts are {read:?}, but {opened:?} were opened")
    } else if sum(read) != sum(opened) {
        format!("{read:?} is {} together instead of {}", sum(read), sum(opened))
    } else if read.values().any(|balance| *balance < 0) {
        format!("{read:?} has an account below zero")
    } else {
        return Ok(());
    };
    Err(Violation { property: PROPERTY, evidence })
}
