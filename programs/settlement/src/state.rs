//! The accounts of the program as they lie in memory; what the fields mean stands in the schema.

use crate::layout::Key;
use crate::numbers::Numbers;
use crate::schema::account;

/// An account of ours: what its first eight bytes and its size are.
pub trait State {
    /// What `shape` calls it.
    const KIND: u8;
    const TAG: u64;
    const SIZE: usize;
    fn begin(&mut self, bump: u8);
}

macro_rules! account_of {
    ($name:ident, $kind:literal, $tag:ident, $size:ident) => {
        impl State for $name {
            const KIND: u8 = $kind;
            const TAG: u64 = account::$tag;
            const SIZE: usize = account::$size;
            #[inline(always)]
            fn begin(&mut self, bump: u8) {
                self.tag = Self::TAG;
                self.version = crate::schema::VERSION;
                self.bump = bump;
            }
        }
    };
}

#[repr(C)]
pub struct Config {
    pub tag: u64,
    pub version: u8,
    pub bump: u8,
    pub fee_bps: u16,
    pub paused: u8,
    pub padding_1: [u8; 3],
    pub min_bond: u64,
    pub timeout_s: u32,
    pub padding_2: [u8; 4],
    pub admin: Key,
    pub pending_admin: Key,
    pub treasury: Key,
    pub genesis: Key,
}

#[repr(C)]
pub struct MintRule {
    pub tag: u64,
    pub version: u8,
    pub bump: u8,
    pub allowed: u8,
    pub decimals: u8,
    pub padding: [u8; 4],
    pub mint: Key,
    pub base_units_per_cent: u64,
}

#[repr(C)]
pub struct Participant {
    pub tag: u64,
    pub version: u8,
    pub bump: u8,
    pub role: u8,
    pub padding: [u8; 5],
    pub wallet: Key,
    pub signing_key: Key,
    pub previous_key: Key,
    pub previous_until: i64,
    pub sequence: u64,
    pub trades_settled: u64,
    pub trades_claimed: u64,
    pub trades_disputed: u64,
    pub disputes_lost: u64,
    pub contracted_wh: u64,
    pub delivered_wh: u64,
}

impl Participant {
    /// Take the number of the next money event.
    #[inline(always)]
    pub fn next(&mut self) -> u64 {
        let number = self.sequence;
        self.sequence = number.wrapping_add(1);
        number
    }
}

#[repr(C)]
pub struct Escrow {
    pub tag: u64,
    pub version: u8,
    pub bump: u8,
    pub padding: [u8; 6],
    pub buyer_wallet: Key,
    pub mint: Key,
    pub vault: Key,
    pub available: u64,
    pub allotted: u64,
    pub bonds: u64,
    pub fees_due: u64,
    pub unpaid: u64,
}

#[repr(C)]
pub struct Line {
    pub tag: u64,
    pub version: u8,
    pub bump: u8,
    pub padding_1: [u8; 6],
    pub buyer_wallet: Key,
    pub battery_wallet: Key,
    pub mint: Key,
    pub escrow: Key,
    pub payee: Key,
    pub amount: u64,
    pub locked: u64,
    pub release_amount: u64,
    pub release_at: i64,
    pub generation: u64,
    pub base_no: u64,
    pub used: Key,
    pub open_trades: u32,
    pub padding_2: [u8; 4],
    pub trades_settled: u64,
    pub paid: u64,
}

impl Line {
    /// Return its contract numbers.
    #[inline(always)]
    pub fn numbers(&mut self) -> &mut Numbers {
        // SAFETY: base_no and used are adjacent, 40 bytes on an eight-byte boundary, as `Numbers` lies; checked below.
        unsafe { &mut *(core::ptr::addr_of_mut!(self.base_no) as *mut Numbers) }
    }
}

const _: () = assert!(core::mem::size_of::<Numbers>() == 40);
const _: () = assert!(core::mem::offset_of!(Line, used) == core::mem::offset_of!(Line, base_no) + 8);

#[repr(C)]
pub struct Trade {
    pub tag: u64,
    pub version: u8,
    pub bump: u8,
    pub state: u8,
    pub padding_1: [u8; 1],
    pub fee_bps: u16,
    pub padding_2: [u8; 2],
    pub trade_id: Key,
    pub line: Key,
    pub rent_payer: Key,
    pub resolver: Key,
    pub evidence: Key,
    pub contract_no: u64,
    pub price_e4: u32,
    pub energy_wh: u32,
    pub base_units_per_cent: u64,
    pub reserved: u64,
    pub claimed_wh: u64,
    pub buyer_wh: u64,
    pub safe_wh: u64,
    pub attested_wh: u64,
    pub paid: u64,
    pub bond: u64,
    pub held: u64,
    pub started_at: i64,
    pub ended_at: i64,
    pub disputable_until: i64,
    pub times_out_at: i64,
}

pub const CLAIMED: u8 = 1;
pub const DISPUTED: u8 = 2;

impl Trade {
    /// Return what an energy of this trade costs; `wh` is at most the contract's.
    #[inline(always)]
    pub fn price(&self, wh: u64) -> u64 {
        crate::money::amount_of(self.price_e4, wh as u32, self.base_units_per_cent)
    }
}

#[repr(C)]
pub struct Unpaid {
    pub tag: u64,
    pub version: u8,
    pub bump: u8,
    pub padding: [u8; 6],
    pub wallet: Key,
    pub mint: Key,
    pub escrow: Key,
    pub amount: u64,
}

account_of!(Config, 1, CONFIG, CONFIG_SIZE);
account_of!(MintRule, 2, MINTRULE, MINTRULE_SIZE);
account_of!(Participant, 3, PARTICIPANT, PARTICIPANT_SIZE);
account_of!(Escrow, 4, ESCROW, ESCROW_SIZE);
account_of!(Line, 5, LINE, LINE_SIZE);
account_of!(Trade, 6, TRADE, TRADE_SIZE);
account_of!(Unpaid, 7, UNPAID, UNPAID_SIZE);

crate::assert_layouts!();
