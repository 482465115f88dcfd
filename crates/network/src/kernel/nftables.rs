//! The machine's packet filter (nf_tables): jettison's own table, written in one transaction, and a look at
//! everybody else's forward chains.
//!
//! ```text
//! table ip jettison {                      # named after the bridge where that is not `jettison0`
//!     chain postrouting { type nat hook postrouting priority 100;
//!         ip saddr 10.187.0.0/20 oifname != "jettison0" masquerade }
//!     chain forward { type filter hook forward priority 0; policy accept;
//!         iifname "jettison0" accept                         # out, and between namespaces
//!         oifname "jettison0" ct state established,related accept   # answers
//!         oifname "jettison0" drop }                         # nobody outside reaches in unasked
//! }
//! ```
//! The table carries its version and subnet as user data: where that matches, nothing is written.

use super::netlink::{APPEND, Attributes, Batch, CREATE, Socket, Writer, text_of, u32_at};
use crate::error::Result;
use crate::subnet::Subnet;

const SUBSYSTEM: u16 = 10 << 8;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEWTABLE: u16 = SUBSYSTEM;
const GETTABLE: u16 = SUBSYSTEM | 1;
const DELTABLE: u16 = SUBSYSTEM | 2;
const NEWCHAIN: u16 = SUBSYSTEM | 3;
const GETCHAIN: u16 = SUBSYSTEM | 4;
const NEWRULE: u16 = SUBSYSTEM | 6;
const GETGEN: u16 = SUBSYSTEM | 16;

const FAMILY_ANY: u8 = 0;
const FAMILY_INET: u8 = 1;
const FAMILY_IPV4: u8 = 2;

const HOOK_FORWARD: u32 = 2;
const HOOK_POSTROUTING: u32 = 4;
const PRIORITY_FILTER: u32 = 0;
const PRIORITY_SOURCE_NAT: u32 = 100;
const DROP: u32 = 0;
const ACCEPT: u32 = 1;

/// The longest interface name with its closing zero.
const NAME_LENGTH: usize = 16;
/// Raised when the rules change, so that an older table is replaced.
const RULES_VERSION: u32 = 1;

fn header(family: u8) -> [u8; 4] {
    [family, 0, 0, 0]
}

/// The name of the table that belongs to a bridge.
pub(crate) fn table_name(bridge: &str) -> String {
    if bridge == "jettison0" { "jettison".to_owned() } else { format!("jettison-{bridge}") }
}

/// Makes sure that the bridge's table is there with today's rules.
pub(crate) fn install(socket: &mut Socket, bridge: &str, subnet: Subnet) -> Result<()> {
    let table = table_name(bridge);
    let mark = format!("{RULES_VERSION} {subnet}");
    if user_data(socket, &table)?.is_some_and(|found| found == mark.as_bytes()) {
        return Ok(());
    }
    let mut batch = Batch::new();
    begin(&mut batch);
    new_table(&mut batch, &table, &mark);
    // Adding before deleting makes the deletion valid whether or not an older table is there.
    delete_table(&mut batch, &table);
    new_table(&mut batch, &table, &mark);
    new_chain(&mut batch, &table, "postrouting", "nat", HOOK_POSTROUTING, PRIORITY_SOURCE_NAT);
    new_rule(&mut batch, &table, "postrouting", |rule| {
        rule.source_in(subnet).interface(Interface::Out, bridge, false).masquerade();
    });
    new_chain(&mut batch, &table, "forward", "filter", HOOK_FORWARD, PRIORITY_FILTER);
    new_rule(&mut batch, &table, "forward", |rule| {
        rule.interface(Interface::In, bridge, true).verdict(ACCEPT);
    });
    new_rule(&mut batch, &table, "forward", |rule| {
        rule.interface(Interface::Out, bridge, true).answers().verdict(ACCEPT);
    });
    new_rule(&mut batch, &table, "forward", |rule| {
        rule.interface(Interface::Out, bridge, true).verdict(DROP);
    });
    end(&mut batch);
    socket.run(&batch)
}

/// Removes the bridge's table, where it is there.
pub(crate) fn remove(socket: &mut Socket, bridge: &str) -> Result<()> {
    let table = table_name(bridge);
    if user_data(socket, &table)?.is_none() {
        return Ok(());
    }
    let mut batch = Batch::new();
    begin(&mut batch);
    delete_table(&mut batch, &table);
    end(&mut batch);
    socket.run(&batch)
}

/// A chain of somebody else's that sees forwarded IPv4 packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForeignChain {
    /// `ip filter FORWARD`, as `nft` writes it.
    pub(crate) name: String,
    /// Whether its policy drops what no rule takes.
    pub(crate) drops: bool,
}

/// The chains of other tables that see forwarded IPv4 packets.
pub(crate) fn foreign_forward_chains(socket: &mut Socket) -> Result<Vec<ForeignChain>> {
    const TABLE: u16 = 1;
    const NAME: u16 = 3;
    const HOOK: u16 = 4;
    const POLICY: u16 = 5;
    const TYPE: u16 = 7;
    const HOOK_NUMBER: u16 = 1;
    let answers = socket.dump("listing packet filter chains", GETCHAIN, &header(FAMILY_ANY), |_| {})?;
    let mut found = Vec::new();
    for answer in answers.iter().filter(|answer| answer.kind == NEWCHAIN) {
        let family = match answer.body.first() {
            Some(&FAMILY_IPV4) => "ip",
            Some(&FAMILY_INET) => "inet",
            _ => continue,
        };
        let (mut table, mut name, mut kind) = (String::new(), String::new(), String::new());
        let (mut forward, mut drops) = (false, false);
        for (attribute, value) in answer.attributes(4) {
            match attribute {
                TABLE => table = text_of(value),
                NAME => name = text_of(value),
                TYPE => kind = text_of(value),
                POLICY => drops = u32_at(value, 0).map(u32::from_be) == Some(DROP),
                HOOK => {
                    forward = Attributes::of(value).any(|(attribute, value)| {
                        attribute == HOOK_NUMBER && u32_at(value, 0).map(u32::from_be) == Some(HOOK_FORWARD)
                    });
                }
                _ => {}
            }
        }
        let ours = table == "jettison" || table.starts_with("jettison-");
        if forward && kind == "filter" && !ours {
            found.push(ForeignChain { name: format!("{family} {table} {name}"), drops });
        }
    }
    Ok(found)
}

/// The number of the rules' generation, which every change of any table raises.
pub(crate) fn generation(socket: &mut Socket) -> Result<Option<u32>> {
    const ID: u16 = 1;
    let what = "asking for the packet filter's generation";
    let answer = socket.get(what, GETGEN, &header(FAMILY_ANY), |_| {})?;
    Ok(answer.and_then(|answer| {
        let id = answer.attributes(4).find(|(kind, _)| *kind == ID);
        id.and_then(|(_, value)| u32_at(value, 0)).map(u32::from_be)
    }))
}

/// The user data of a table; empty where it has none, `None` where there is no such table.
fn user_data(socket: &mut Socket, table: &str) -> Result<Option<Vec<u8>>> {
    const USER_DATA: u16 = 6;
    let what = format!("looking up packet filter table `{table}`");
    let answer = socket.get(&what, GETTABLE, &header(FAMILY_IPV4), |message| {
        message.text(1, table);
    })?;
    Ok(answer.map(|answer| {
        let data = answer.attributes(4).find(|(kind, _)| *kind == USER_DATA);
        data.map(|(_, value)| value.to_vec()).unwrap_or_default()
    }))
}

/// The first message of a transaction names the subsystem in its header, big-endian.
fn begin(batch: &mut Batch) {
    batch.message("beginning a packet filter change", BATCH_BEGIN, 0, &[0, 0, 0, 10], |_| {});
}

fn end(batch: &mut Batch) {
    batch.message("ending a packet filter change", BATCH_END, 0, &[0, 0, 0, 10], |_| {});
}

fn new_table(batch: &mut Batch, table: &str, mark: &str) {
    let what = format!("making packet filter table `{table}`");
    batch.message(what, NEWTABLE, CREATE, &header(FAMILY_IPV4), |message| {
        message.text(1, table).bytes(6, mark.as_bytes());
    });
}

fn delete_table(batch: &mut Batch, table: &str) {
    let what = format!("removing packet filter table `{table}`");
    batch.message(what, DELTABLE, 0, &header(FAMILY_IPV4), |message| {
        message.text(1, table);
    });
}

fn new_chain(batch: &mut Batch, table: &str, chain: &str, kind: &str, hook: u32, priority: u32) {
    let what = format!("making packet filter chain `{table} {chain}`");
    batch.message(what, NEWCHAIN, CREATE, &header(FAMILY_IPV4), |message| {
        message
            .text(1, table)
            .text(3, chain)
            .nest(4, |place| {
                place.big(1, hook).big(2, priority);
            })
            .big(5, ACCEPT)
            .text(7, kind);
    });
}

fn new_rule(batch: &mut Batch, table: &str, chain: &str, rule: impl FnOnce(&mut Rule<'_>)) {
    let what = format!("adding a rule to packet filter chain `{table} {chain}`");
    batch.message(what, NEWRULE, CREATE | APPEND, &header(FAMILY_IPV4), |message| {
        message.text(1, table).text(2, chain).nest(4, |list| rule(&mut Rule { list }));
    });
}

#[derive(Clone, Copy)]
enum Interface {
    In,
    Out,
}

/// A rule is a list of expressions over registers: load, compare (a failed comparison ends the rule), decide.
struct Rule<'a> {
    list: &'a mut Writer,
}

const REGISTER: u32 = 1;
const VERDICT_REGISTER: u32 = 0;
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;

impl Rule<'_> {
    fn expression(&mut self, name: &str, data: impl FnOnce(&mut Writer)) -> &mut Self {
        self.list.nest(1, |element| {
            element.text(1, name).nest(2, data);
        });
        self
    }

    fn compare(&mut self, operation: u32, value: &[u8]) -> &mut Self {
        self.expression("cmp", |data| {
            data.big(1, REGISTER).big(2, operation).nest(3, |inside| {
                inside.bytes(1, value);
            });
        })
    }

    fn mask(&mut self, mask: &[u8]) -> &mut Self {
        let length = u32::try_from(mask.len()).expect("because masks are 4 bytes");
        self.expression("bitwise", |data| {
            data.big(1, REGISTER)
                .big(2, REGISTER)
                .big(3, length)
                .nest(4, |inside| {
                    inside.bytes(1, mask);
                })
                .nest(5, |inside| {
                    inside.bytes(1, &vec![0; mask.len()]);
                });
        })
    }

    /// The source address is in the subnet.
    fn source_in(&mut self, subnet: Subnet) -> &mut Self {
        const NETWORK_HEADER: u32 = 1;
        const SOURCE_OFFSET: u32 = 12;
        self.expression("payload", |data| {
            data.big(1, REGISTER).big(2, NETWORK_HEADER).big(3, SOURCE_OFFSET).big(4, 4);
        });
        self.mask(&subnet.mask().octets()).compare(EQUAL, &subnet.network().octets())
    }

    /// The packet comes in by, or goes out by, the interface of this name; or (`same` false) another.
    fn interface(&mut self, which: Interface, name: &str, same: bool) -> &mut Self {
        let key = match which {
            Interface::In => 6,
            Interface::Out => 7,
        };
        let mut padded = [0; NAME_LENGTH];
        padded[..name.len()].copy_from_slice(name.as_bytes());
        self.expression("meta", |data| {
            data.big(1, REGISTER).big(2, key);
        });
        self.compare(if same { EQUAL } else { NOT_EQUAL }, &padded)
    }

    /// The packet belongs to a connection that is known: state established (bit 1) or related (bit 2).
    fn answers(&mut self) -> &mut Self {
        const STATE: u32 = 0;
        self.expression("ct", |data| {
            data.big(1, REGISTER).big(2, STATE);
        });
        self.mask(&6u32.to_ne_bytes()).compare(NOT_EQUAL, &[0; 4])
    }

    fn verdict(&mut self, code: u32) {
        self.expression("immediate", |data| {
            data.big(1, VERDICT_REGISTER).nest(2, |inside| {
                inside.nest(2, |verdict| {
                    verdict.big(1, code);
                });
            });
        });
    }

    fn masquerade(&mut self) {
        self.expression("masq", |_| {});
    }
}
