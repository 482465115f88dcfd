//! Docker's default seccomp profile, compiled to a short BPF program.
//!
//! The profile is an allow list of some 380 names; written down the other way round, as the numbers that it does
//! **not** simply allow, it is a short table for each architecture ([`tables`]). The numbers between them fall into
//! about a hundred intervals, and the program is a binary search over those: some seven comparisons for any call,
//! where a list of comparisons would need hundreds (the kernel runs a new filter over every call number at load, so
//! this is paid at each exec, not only at each call).
//!
//! ```text
//! load architecture ── native ──▶ load number ──▶ search tree ──▶ ALLOW | EPERM | ENOSYS | look at argument 0
//!                  └── 32 bit ──▶ load number ──▶ search tree of its own numbers
//!                  └── other  ──▶ EPERM
//! ```
//!
//! Numbers past the newest that the profile knows answer ENOSYS, as runc makes it, so that C libraries fall back.

mod tables;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use libc::sock_filter;

use crate::capabilities::Capabilities;
use tables::{Arch, Rule};

/// Which system calls a process may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Seccomp {
    /// Docker's default profile for the capabilities that the process has.
    #[default]
    Docker,
    /// No filter.
    Unconfined,
}

/// A compiled program.
pub(crate) type Program = Arc<[sock_filter]>;

impl Seccomp {
    /// The program for these capabilities, compiled once in a process's life; `None` when unconfined.
    pub(crate) fn program(self, capabilities: Capabilities) -> Option<Program> {
        static COMPILED: LazyLock<Mutex<HashMap<u64, Program>>> = LazyLock::new(Mutex::default);
        if self == Self::Unconfined {
            return None;
        }
        let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        Some(compiled.entry(capabilities.bits()).or_insert_with(|| compile(capabilities).into()).clone())
    }
}

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER_EQUAL: u16 = 0x35;
const JUMP_SET: u16 = 0x45;
const RETURN: u16 = 0x06;

const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCH: u32 = 4;
/// The low half of argument 0; every architecture in the tables is little-endian.
const OFFSET_ARGUMENT: u32 = 16;

const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const EPERM: u32 = ERRNO | libc::EPERM as u32;
const ENOSYS: u32 = ERRNO | libc::ENOSYS as u32;

/// The namespace flags of `clone` that need CAP_SYS_ADMIN.
const NAMESPACE_FLAGS: u32 = 0x7e02_0000;
/// What `personality` may be set to: Linux with or without ADDR_NO_RANDOMIZE's neighbours, and the query.
const PERSONALITIES: [u32; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];
/// Socket families that are refused: those that no kernel has any more, AF_ALG (38) and AF_VSOCK (40).
const SOCKETS_DENIED: [u32; 9] = [12, 19, 20, 23, 25, 34, 37, 38, 40];
/// The first socket family past the known ones.
const SOCKETS_END: u32 = 46;

const fn op(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

const fn branch(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// The whole program for one set of capabilities.
fn compile(capabilities: Capabilities) -> Vec<sock_filter> {
    let mut program = vec![op(LOAD, OFFSET_ARCH)];
    for arch in tables::ARCHES {
        let body = section(arch, capabilities);
        program.push(branch(JUMP_EQUAL, arch.audit, 1, 0));
        program.push(op(JUMP, body.len() as u32));
        program.extend(body);
    }
    program.push(op(RETURN, EPERM));
    program
}

/// The part for one architecture.
fn section(arch: &Arch, capabilities: Capabilities) -> Vec<sock_filter> {
    let mut leaves: Vec<(u32, Vec<sock_filter>)> = Vec::new();
    let mut put = |from: u32, leaf: Vec<sock_filter>| match leaves.last() {
        Some((_, last)) if same(last, &leaf) => {}
        _ => leaves.push((from, leaf)),
    };
    let mut next = 0;
    for &(first, last, rule) in arch.rules {
        if first > next {
            put(next, vec![op(RETURN, ALLOW)]);
        }
        put(first, leaf(rule, capabilities));
        next = last + 1;
    }
    if next <= arch.newest {
        put(next, vec![op(RETURN, ALLOW)]);
    }
    put(arch.newest + 1, vec![op(RETURN, ENOSYS)]);
    let mut body = vec![op(LOAD, OFFSET_NUMBER)];
    body.extend(search(&leaves));
    body
}

fn same(a: &[sock_filter], b: &[sock_filter]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a.code, a.jt, a.jf, a.k) == (b.code, b.jt, b.jf, b.k))
}

/// A binary search for the last leaf whose first number is not above the loaded one.
fn search(leaves: &[(u32, Vec<sock_filter>)]) -> Vec<sock_filter> {
    if let [(_, only)] = leaves {
        return only.clone();
    }
    let (low, high) = leaves.split_at(leaves.len() / 2);
    let below = search(low);
    let mut code = match u8::try_from(below.len()) {
        Ok(skip) => vec![branch(JUMP_GREATER_EQUAL, high[0].0, skip, 0)],
        Err(_) => vec![branch(JUMP_GREATER_EQUAL, high[0].0, 0, 1), op(JUMP, below.len() as u32)],
    };
    code.extend(below);
    code.extend(search(high));
    code
}

/// What is done for the numbers of one rule.
fn leaf(rule: Rule, capabilities: Capabilities) -> Vec<sock_filter> {
    let admin = capabilities.has(tables::SYS_ADMIN);
    let any = |numbers: &[u32]| numbers.iter().any(|number| capabilities.has(*number));
    match rule {
        Rule::Deny => vec![op(RETURN, EPERM)],
        Rule::With(numbers) => vec![op(RETURN, if any(numbers) { ALLOW } else { EPERM })],
        Rule::Clone if admin => vec![op(RETURN, ALLOW)],
        Rule::Clone => vec![
            op(LOAD, OFFSET_ARGUMENT),
            branch(JUMP_SET, NAMESPACE_FLAGS, 0, 1),
            op(RETURN, EPERM),
            op(RETURN, ALLOW),
        ],
        // ENOSYS makes C libraries use clone, whose flags a filter can read.
        Rule::Clone3 => vec![op(RETURN, if admin { ALLOW } else { ENOSYS })],
        Rule::Personality => one_of(&PERSONALITIES, ALLOW, EPERM),
        Rule::Socket => {
            let mut code = one_of(&SOCKETS_DENIED, EPERM, ALLOW);
            code.insert(1, branch(JUMP_GREATER_EQUAL, SOCKETS_END, 0, 1));
            code.insert(2, op(RETURN, EPERM));
            code
        }
    }
}

/// Returns `hit` when argument 0 is one of the values, else `miss`.
fn one_of(values: &[u32], hit: u32, miss: u32) -> Vec<sock_filter> {
    let mut code = vec![op(LOAD, OFFSET_ARGUMENT)];
    for (index, value) in values.iter().enumerate() {
        code.push(branch(JUMP_EQUAL, *value, (values.len() - index) as u8, 0));
    }
    code.push(op(RETURN, miss));
    code.push(op(RETURN, hit));
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel would.
    fn run(program: &[sock_filter], arch: u32, number: u32, argument: u32) -> u32 {
        let (mut at, mut a) = (0usize, 0u32);
        loop {
            let i = &program[at];
            at += 1;
            let jump = |taken: bool| at + usize::from(if taken { i.jt } else { i.jf });
            match i.code {
                LOAD if i.k == OFFSET_ARCH => a = arch,
                LOAD if i.k == OFFSET_NUMBER => a = number,
                LOAD => a = argument,
                JUMP => at += i.k as usize,
                JUMP_EQUAL => at = jump(a == i.k),
                JUMP_GREATER_EQUAL => at = jump(a >= i.k),
                JUMP_SET => at = jump(a & i.k != 0),
                RETURN => return i.k,
                other => panic!("instruction {other}"),
            }
        }
    }

    #[test]
    fn every_number_does_what_its_table_says() {
        for capabilities in [Capabilities::DOCKER, Capabilities::ALL, Capabilities::NONE] {
            let program = compile(capabilities);
            assert!(program.len() < 600, "{}", program.len());
            for arch in tables::ARCHES {
                for number in (0..arch.newest + 20).chain([0x4000_0000, u32::MAX]) {
                    let rule = arch.rules.iter().find(|(first, last, _)| (*first..=*last).contains(&number));
                    for argument in [0, 1, 2, 8, 38, 40, 46, 0x1000_0000, 0x0120_0011, u32::MAX] {
                        let want = match rule.map(|rule| rule.2) {
                            _ if number > arch.newest => ENOSYS,
                            None => ALLOW,
                            Some(Rule::Deny) => EPERM,
                            Some(Rule::With(caps)) if caps.iter().any(|c| capabilities.has(*c)) => ALLOW,
                            Some(Rule::With(_)) => EPERM,
                            Some(Rule::Clone | Rule::Clone3) if capabilities.has(21) => ALLOW,
                            Some(Rule::Clone) if argument & NAMESPACE_FLAGS != 0 => EPERM,
                            Some(Rule::Clone) => ALLOW,
                            Some(Rule::Clone3) => ENOSYS,
                            Some(Rule::Personality) if PERSONALITIES.contains(&argument) => ALLOW,
                            Some(Rule::Personality) => EPERM,
                            Some(Rule::Socket) if argument > 45 || [38, 40].contains(&argument) => EPERM,
                            Some(Rule::Socket) => ALLOW,
                        };
                        let got = run(&program, arch.audit, number, argument);
                        assert_eq!(got, want, "call {number} of {:x} with {argument:x}", arch.audit);
                    }
                }
            }
            assert_eq!(run(&program, 0x1234, 0, 0), EPERM);
        }
    }

    #[test]
    fn tables_are_sorted_and_apart() {
        for arch in tables::ARCHES {
            assert!(arch.rules.windows(2).all(|pair| pair[0].1 < pair[1].0), "{:x}", arch.audit);
            assert!(arch.rules.iter().all(|rule| rule.0 <= rule.1 && rule.1 <= arch.newest));
        }
    }
}
