//! Made from the schema by `python -m settlement.program.generate`; not to be edited.
#![allow(dead_code)]

pub const VERSION: u8 = 1;
pub const EVENT_TAG: u64 = 0x1d9acb512ea545e4;

/// First eight bytes of each account, as a little-endian number, and its size.
pub mod account {
    pub const CONFIG: u64 = 0x82ccfa1ee0aa0c9b;
    pub const CONFIG_SIZE: usize = 160;
    pub const MINTRULE: u64 = 0x6fe4044c41de0d1a;
    pub const MINTRULE_SIZE: usize = 56;
    pub const PARTICIPANT: u64 = 0x0636b3f74f6c8e20;
    pub const PARTICIPANT_SIZE: usize = 176;
    pub const ESCROW: u64 = 0x9bda16babb7bd51f;
    pub const ESCROW_SIZE: usize = 152;
    pub const LINE: u64 = 0xbb500db4997d490f;
    pub const LINE_SIZE: usize = 280;
    pub const TRADE: u64 = 0xbef4c49d1f7b8b84;
    pub const TRADE_SIZE: usize = 296;
    pub const UNPAID: u64 = 0x185a141ef8ee20db;
    pub const UNPAID_SIZE: usize = 120;
}

/// First eight bytes of each instruction's data, as a little-endian number; the size of the data; its
/// accounts: how many, and by bits from the lowest which must sign and which are changed.
pub mod call {
    pub const INITIALIZE: u64 = 0xed9b980d1f6dafaf;
    pub const INITIALIZE_SIZE: usize = 86;
    pub const INITIALIZE_ACCOUNTS: usize = 5;
    pub const INITIALIZE_SIGNERS: u16 = 0b0000000000000001;
    pub const INITIALIZE_WRITABLE: u16 = 0b0000000000000011;
    pub const SET_CONFIG: u64 = 0x423462d4af9a9e6c;
    pub const SET_CONFIG_SIZE: usize = 50;
    pub const SET_CONFIG_ACCOUNTS: usize = 2;
    pub const SET_CONFIG_SIGNERS: u16 = 0b0000000000000001;
    pub const SET_CONFIG_WRITABLE: u16 = 0b0000000000000010;
    pub const PROPOSE_ADMIN: u64 = 0xea752757d4c7d679;
    pub const PROPOSE_ADMIN_SIZE: usize = 40;
    pub const PROPOSE_ADMIN_ACCOUNTS: usize = 2;
    pub const PROPOSE_ADMIN_SIGNERS: u16 = 0b0000000000000001;
    pub const PROPOSE_ADMIN_WRITABLE: u16 = 0b0000000000000010;
    pub const ACCEPT_ADMIN: u64 = 0xaa0db5745a2d2a70;
    pub const ACCEPT_ADMIN_SIZE: usize = 8;
    pub const ACCEPT_ADMIN_ACCOUNTS: usize = 2;
    pub const ACCEPT_ADMIN_SIGNERS: u16 = 0b0000000000000001;
    pub const ACCEPT_ADMIN_WRITABLE: u16 = 0b0000000000000010;
    pub const SET_PAUSE: u64 = 0x2d4f6738029a203f;
    pub const SET_PAUSE_SIZE: usize = 9;
    pub const SET_PAUSE_ACCOUNTS: usize = 2;
    pub const SET_PAUSE_SIGNERS: u16 = 0b0000000000000001;
    pub const SET_PAUSE_WRITABLE: u16 = 0b0000000000000010;
    pub const SET_MINT_RULE: u64 = 0xcfe3ccd55d9fbfb9;
    pub const SET_MINT_RULE_SIZE: usize = 17;
    pub const SET_MINT_RULE_ACCOUNTS: usize = 5;
    pub const SET_MINT_RULE_SIGNERS: u16 = 0b0000000000000001;
    pub const SET_MINT_RULE_WRITABLE: u16 = 0b0000000000000101;
    pub const REGISTER: u64 = 0xf0b2c2d30f437cd3;
    pub const REGISTER_SIZE: usize = 41;
    pub const REGISTER_ACCOUNTS: usize = 5;
    pub const REGISTER_SIGNERS: u16 = 0b0000000000000001;
    pub const REGISTER_WRITABLE: u16 = 0b0000000000000101;
    pub const ROTATE_KEY: u64 = 0xc8ac031f74c2f056;
    pub const ROTATE_KEY_SIZE: usize = 40;
    pub const ROTATE_KEY_ACCOUNTS: usize = 4;
    pub const ROTATE_KEY_SIGNERS: u16 = 0b0000000000000001;
    pub const ROTATE_KEY_WRITABLE: u16 = 0b0000000000000100;
    pub const OPEN_ESCROW: u64 = 0xdba1294afd9bb252;
    pub const OPEN_ESCROW_SIZE: usize = 8;
    pub const OPEN_ESCROW_ACCOUNTS: usize = 7;
    pub const OPEN_ESCROW_SIGNERS: u16 = 0b0000000000000001;
    pub const OPEN_ESCROW_WRITABLE: u16 = 0b0000000000001101;
    pub const DEPOSIT: u64 = 0xb6f2e15289c623f2;
    pub const DEPOSIT_SIZE: usize = 16;
    pub const DEPOSIT_ACCOUNTS: usize = 10;
    pub const DEPOSIT_SIGNERS: u16 = 0b0000000000000001;
    pub const DEPOSIT_WRITABLE: u16 = 0b0000000001111000;
    pub const WITHDRAW: u64 = 0x22a16d949c4612b7;
    pub const WITHDRAW_SIZE: usize = 16;
    pub const WITHDRAW_ACCOUNTS: usize = 8;
    pub const WITHDRAW_SIGNERS: u16 = 0b0000000000000001;
    pub const WITHDRAW_WRITABLE: u16 = 0b0000000000011110;
    pub const OPEN_LINE: u64 = 0xd01b2280c6826863;
    pub const OPEN_LINE_SIZE: usize = 8;
    pub const OPEN_LINE_ACCOUNTS: usize = 7;
    pub const OPEN_LINE_SIGNERS: u16 = 0b0000000000000001;
    pub const OPEN_LINE_WRITABLE: u16 = 0b0000000000110001;
    pub const ALLOT: u64 = 0xda83a308140d5635;
    pub const ALLOT_SIZE: usize = 16;
    pub const ALLOT_ACCOUNTS: usize = 8;
    pub const ALLOT_SIGNERS: u16 = 0b0000000000000001;
    pub const ALLOT_WRITABLE: u16 = 0b0000000000111000;
    pub const REQUEST_RELEASE: u64 = 0x0796e7a3027adaa7;
    pub const REQUEST_RELEASE_SIZE: usize = 16;
    pub const REQUEST_RELEASE_ACCOUNTS: usize = 5;
    pub const REQUEST_RELEASE_SIGNERS: u16 = 0b0000000000000001;
    pub const REQUEST_RELEASE_WRITABLE: u16 = 0b0000000000000110;
    pub const RELEASE: u64 = 0xf1c17f1cce0ff9fd;
    pub const RELEASE_SIZE: usize = 8;
    pub const RELEASE_ACCOUNTS: usize = 7;
    pub const RELEASE_SIGNERS: u16 = 0b0000000000000001;
    pub const RELEASE_WRITABLE: u16 = 0b0000000000011100;
    pub const SETTLE: u64 = 0xd466839057b92aaf;
    pub const SETTLE_SIZE: usize = 206;
    pub const SETTLE_ACCOUNTS: usize = 16;
    pub const SETTLE_SIGNERS: u16 = 0b0000000000000000;
    pub const SETTLE_WRITABLE: u16 = 0b0010000111111110;
    pub const CLAIM: u64 = 0xd26c9fd5c1d6c63e;
    pub const CLAIM_SIZE: usize = 206;
    pub const CLAIM_ACCOUNTS: usize = 11;
    pub const CLAIM_SIGNERS: u16 = 0b0000000000000001;
    pub const CLAIM_WRITABLE: u16 = 0b0000000000111101;
    pub const ATTEST: u64 = 0xa0758b9077789453;
    pub const ATTEST_SIZE: usize = 64;
    pub const ATTEST_ACCOUNTS: usize = 14;
    pub const ATTEST_SIGNERS: u16 = 0b0000000000000000;
    pub const ATTEST_WRITABLE: u16 = 0b0000000011111111;
    pub const FINALIZE: u64 = 0xd90c737f38da3dab;
    pub const FINALIZE_SIZE: usize = 8;
    pub const FINALIZE_ACCOUNTS: usize = 12;
    pub const FINALIZE_SIGNERS: u16 = 0b0000000000000000;
    pub const FINALIZE_WRITABLE: u16 = 0b0000001011111111;
    pub const DISPUTE: u64 = 0x498755ca92805cd8;
    pub const DISPUTE_SIZE: usize = 16;
    pub const DISPUTE_ACCOUNTS: usize = 13;
    pub const DISPUTE_SIGNERS: u16 = 0b0000000000000001;
    pub const DISPUTE_WRITABLE: u16 = 0b0000001111111100;
    pub const RESOLVE: u64 = 0x0a3a3f6cceec96f6;
    pub const RESOLVE_SIZE: usize = 16;
    pub const RESOLVE_ACCOUNTS: usize = 13;
    pub const RESOLVE_SIGNERS: u16 = 0b0000000000000001;
    pub const RESOLVE_WRITABLE: u16 = 0b0000010111111110;
    pub const TIMEOUT: u64 = 0xf750bd9ca92e3609;
    pub const TIMEOUT_SIZE: usize = 8;
    pub const TIMEOUT_ACCOUNTS: usize = 12;
    pub const TIMEOUT_SIGNERS: u16 = 0b0000000000000000;
    pub const TIMEOUT_WRITABLE: u16 = 0b0000001011111111;
    pub const CLOSE: u64 = 0x60ce416cb1c9a562;
    pub const CLOSE_SIZE: usize = 8;
    pub const CLOSE_ACCOUNTS: usize = 2;
    pub const CLOSE_SIGNERS: u16 = 0b0000000000000001;
    pub const CLOSE_WRITABLE: u16 = 0b0000000000000011;
    pub const VOID: u64 = 0x03100eeb184a8237;
    pub const VOID_SIZE: usize = 16;
    pub const VOID_ACCOUNTS: usize = 2;
    pub const VOID_SIGNERS: u16 = 0b0000000000000001;
    pub const VOID_WRITABLE: u16 = 0b0000000000000010;
    pub const COLLECT: u64 = 0xec5262119bc22fd0;
    pub const COLLECT_SIZE: usize = 8;
    pub const COLLECT_ACCOUNTS: usize = 9;
    pub const COLLECT_SIGNERS: u16 = 0b0000000000000000;
    pub const COLLECT_WRITABLE: u16 = 0b0000000000011111;
    pub const SWEEP_FEES: u64 = 0x942242764762e1af;
    pub const SWEEP_FEES_SIZE: usize = 8;
    pub const SWEEP_FEES_ACCOUNTS: usize = 8;
    pub const SWEEP_FEES_SIGNERS: u16 = 0b0000000000000000;
    pub const SWEEP_FEES_WRITABLE: u16 = 0b0000000000011110;
}

/// First eight bytes of each event, as a little-endian number.
pub mod event {
    pub const DEPOSITED: u64 = 0x396423a12d1a8d6f;
    pub const WITHDRAWN: u64 = 0x0ddb7cc2c6df5914;
    pub const ALLOTTED: u64 = 0x4da8d8feb163c50f;
    pub const RELEASEREQUESTED: u64 = 0xddcc88f80cdd4bab;
    pub const RELEASED: u64 = 0xdc0fbd6588ffe5e8;
    pub const CLAIMED: u64 = 0x21f8966c487bc0d9;
    pub const ATTESTED: u64 = 0x3260c5dcc77166b8;
    pub const DISPUTED: u64 = 0xd9985d94d15bebba;
    pub const SETTLED: u64 = 0xee917c8e1128d2e8;
    pub const COLLECTED: u64 = 0xcf02efa8a78a6d43;
    pub const FEESSWEPT: u64 = 0xaccaaa4a8873da60;
    pub const REGISTERED: u64 = 0xe3a56ea0480ade0b;
    pub const KEYROTATED: u64 = 0x5f211ec6681225ae;
    pub const LINEOPENED: u64 = 0x4853a71080edcec8;
    pub const LINECLOSED: u64 = 0x3c8e55523fec80d5;
    pub const VOIDED: u64 = 0xb3565b475fa33020;
    pub const CONFIGCHANGED: u64 = 0xc04e4d6262561993;
    pub const MINTRULESET: u64 = 0x10d645aa3d5bd44b;
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Failure {
    /// the program has no such instruction, or it is as long as none
    UnknownInstruction = 6000,
    /// an account is missing, of another kind, or belongs to something else
    BadAccount = 6001,
    /// a wallet that must sign has not
    NotSigner = 6002,
    /// an account is owned by another program than it must be
    WrongOwner = 6003,
    /// an account is not at the address that its content gives it
    WrongAddress = 6004,
    /// the account's state does not allow this
    BadState = 6005,
    /// too late: the contract or the window has ended
    Expired = 6006,
    /// not yet: the delivery, the window or the delay has not ended
    TooEarly = 6007,
    /// a number is zero, too large, or outside what the trade allows
    BadAmount = 6008,
    /// a sum does not fit into 64 bits
    Overflow = 6009,
    /// a party has neither signed the transaction nor proved consent right before
    SignatureMissing = 6010,
    /// the Ed25519 instruction is not laid out in the one way that counts
    SignatureLayout = 6011,
    /// a key or a message in the Ed25519 instruction is not the one that is needed
    DigestMismatch = 6012,
    /// deposits in this mint are not taken, or it is not of the classic token program
    MintNotAllowed = 6013,
    /// the operator has paused what brings new money
    Paused = 6014,
    /// one account stands in two writable places
    DuplicateAccount = 6015,
    /// the escrow or the Line holds less than this needs
    NotEnough = 6016,
    /// only the contract's resolver rules
    NotResolver = 6017,
    /// battery and buyer are one wallet, or the resolver is one of the two
    SameParty = 6018,
    /// the contract number is spent
    NumberUsed = 6019,
    /// the contract number is not among the next 256 of this Line
    NumberOutOfWindow = 6020,
    /// a term of the contract is outside its range
    BadTerms = 6021,
    /// only the admin, or the upgrade authority at the beginning
    NotAdmin = 6022,
    /// this instruction is not served to another program
    InsideCpi = 6023,
    /// the previous rotation is less than 8 days ago
    KeyTooYoung = 6024,
    /// a signing key must be neither zero, nor the wallet, nor the key in force
    BadKey = 6025,
    /// money or open trades are on this Line, or it was opened in this very slot
    NotEmpty = 6026,
}

/// Put into the module of the account structures: it does not compile when one lies otherwise than here.
#[macro_export]
macro_rules! assert_layouts {
    () => {
        const _: () = assert!(core::mem::size_of::<Config>() == 160);
        const _: () = assert!(core::mem::offset_of!(Config, version) == 8);
        const _: () = assert!(core::mem::offset_of!(Config, bump) == 9);
        const _: () = assert!(core::mem::offset_of!(Config, fee_bps) == 10);
        const _: () = assert!(core::mem::offset_of!(Config, paused) == 12);
        const _: () = assert!(core::mem::offset_of!(Config, min_bond) == 16);
        const _: () = assert!(core::mem::offset_of!(Config, timeout_s) == 24);
        const _: () = assert!(core::mem::offset_of!(Config, admin) == 32);
        const _: () = assert!(core::mem::offset_of!(Config, pending_admin) == 64);
        const _: () = assert!(core::mem::offset_of!(Config, treasury) == 96);
        const _: () = assert!(core::mem::offset_of!(Config, genesis) == 128);
        const _: () = assert!(core::mem::size_of::<MintRule>() == 56);
        const _: () = assert!(core::mem::offset_of!(MintRule, version) == 8);
        const _: () = assert!(core::mem::offset_of!(MintRule, bump) == 9);
        const _: () = assert!(core::mem::offset_of!(MintRule, allowed) == 10);
        const _: () = assert!(core::mem::offset_of!(MintRule, decimals) == 11);
        const _: () = assert!(core::mem::offset_of!(MintRule, mint) == 16);
        const _: () = assert!(core::mem::offset_of!(MintRule, base_units_per_cent) == 48);
        const _: () = assert!(core::mem::size_of::<Participant>() == 176);
        const _: () = assert!(core::mem::offset_of!(Participant, version) == 8);
        const _: () = assert!(core::mem::offset_of!(Participant, bump) == 9);
        const _: () = assert!(core::mem::offset_of!(Participant, role) == 10);
        const _: () = assert!(core::mem::offset_of!(Participant, wallet) == 16);
        const _: () = assert!(core::mem::offset_of!(Participant, signing_key) == 48);
        const _: () = assert!(core::mem::offset_of!(Participant, previous_key) == 80);
        const _: () = assert!(core::mem::offset_of!(Participant, previous_until) == 112);
        const _: () = assert!(core::mem::offset_of!(Participant, sequence) == 120);
        const _: () = assert!(core::mem::offset_of!(Participant, trades_settled) == 128);
        const _: () = assert!(core::mem::offset_of!(Participant, trades_claimed) == 136);
        const _: () = assert!(core::mem::offset_of!(Participant, trades_disputed) == 144);
        const _: () = assert!(core::mem::offset_of!(Participant, disputes_lost) == 152);
        const _: () = assert!(core::mem::offset_of!(Participant, contracted_wh) == 160);
        const _: () = assert!(core::mem::offset_of!(Participant, delivered_wh) == 168);
        const _: () = assert!(core::mem::size_of::<Escrow>() == 152);
        const _: () = assert!(core::mem::offset_of!(Escrow, version) == 8);
        const _: () = assert!(core::mem::offset_of!(Escrow, bump) == 9);
        const _: () = assert!(core::mem::offset_of!(Escrow, buyer_wallet) == 16);
        const _: () = assert!(core::mem::offset_of!(Escrow, mint) == 48);
        const _: () = assert!(core::mem::offset_of!(Escrow, vault) == 80);
        const _: () = assert!(core::mem::offset_of!(Escrow, available) == 112);
        const _: () = assert!(core::mem::offset_of!(Escrow, allotted) == 120);
        const _: () = assert!(core::mem::offset_of!(Escrow, bonds) == 128);
        const _: () = assert!(core::mem::offset_of!(Escrow, fees_due) == 136);
        const _: () = assert!(core::mem::offset_of!(Escrow, unpaid) == 144);
        const _: () = assert!(core::mem::size_of::<Line>() == 280);
        const _: () = assert!(core::mem::offset_of!(Line, version) == 8);
        const _: () = assert!(core::mem::offset_of!(Line, bump) == 9);
        const _: () = assert!(core::mem::offset_of!(Line, buyer_wallet) == 16);
        const _: () = assert!(core::mem::offset_of!(Line, battery_wallet) == 48);
        const _: () = assert!(core::mem::offset_of!(Line, mint) == 80);
        const _: () = assert!(core::mem::offset_of!(Line, escrow) == 112);
        const _: () = assert!(core::mem::offset_of!(Line, payee) == 144);
        const _: () = assert!(core::mem::offset_of!(Line, amount) == 176);
        const _: () = assert!(core::mem::offset_of!(Line, locked) == 184);
        const _: () = assert!(core::mem::offset_of!(Line, release_amount) == 192);
        const _: () = assert!(core::mem::offset_of!(Line, release_at) == 200);
        const _: () = assert!(core::mem::offset_of!(Line, generation) == 208);
        const _: () = assert!(core::mem::offset_of!(Line, base_no) == 216);
        const _: () = assert!(core::mem::offset_of!(Line, used) == 224);
        const _: () = assert!(core::mem::offset_of!(Line, open_trades) == 256);
        const _: () = assert!(core::mem::offset_of!(Line, trades_settled) == 264);
        const _: () = assert!(core::mem::offset_of!(Line, paid) == 272);
        const _: () = assert!(core::mem::size_of::<Trade>() == 296);
        const _: () = assert!(core::mem::offset_of!(Trade, version) == 8);
        const _: () = assert!(core::mem::offset_of!(Trade, bump) == 9);
        const _: () = assert!(core::mem::offset_of!(Trade, state) == 10);
        const _: () = assert!(core::mem::offset_of!(Trade, fee_bps) == 12);
        const _: () = assert!(core::mem::offset_of!(Trade, trade_id) == 16);
        const _: () = assert!(core::mem::offset_of!(Trade, line) == 48);
        const _: () = assert!(core::mem::offset_of!(Trade, rent_payer) == 80);
        const _: () = assert!(core::mem::offset_of!(Trade, resolver) == 112);
        const _: () = assert!(core::mem::offset_of!(Trade, evidence) == 144);
        const _: () = assert!(core::mem::offset_of!(Trade, contract_no) == 176);
        const _: () = assert!(core::mem::offset_of!(Trade, price_e4) == 184);
        const _: () = assert!(core::mem::offset_of!(Trade, energy_wh) == 188);
        const _: () = assert!(core::mem::offset_of!(Trade, base_units_per_cent) == 192);
        const _: () = assert!(core::mem::offset_of!(Trade, reserved) == 200);
        const _: () = assert!(core::mem::offset_of!(Trade, claimed_wh) == 208);
        const _: () = assert!(core::mem::offset_of!(Trade, buyer_wh) == 216);
        const _: () = assert!(core::mem::offset_of!(Trade, safe_wh) == 224);
        const _: () = assert!(core::mem::offset_of!(Trade, attested_wh) == 232);
        const _: () = assert!(core::mem::offset_of!(Trade, paid) == 240);
        const _: () = assert!(core::mem::offset_of!(Trade, bond) == 248);
        const _: () = assert!(core::mem::offset_of!(Trade, held) == 256);
        const _: () = assert!(core::mem::offset_of!(Trade, started_at) == 264);
        const _: () = assert!(core::mem::offset_of!(Trade, ended_at) == 272);
        const _: () = assert!(core::mem::offset_of!(Trade, disputable_until) == 280);
        const _: () = assert!(core::mem::offset_of!(Trade, times_out_at) == 288);
        const _: () = assert!(core::mem::size_of::<Unpaid>() == 120);
        const _: () = assert!(core::mem::offset_of!(Unpaid, version) == 8);
        const _: () = assert!(core::mem::offset_of!(Unpaid, bump) == 9);
        const _: () = assert!(core::mem::offset_of!(Unpaid, wallet) == 16);
        const _: () = assert!(core::mem::offset_of!(Unpaid, mint) == 48);
        const _: () = assert!(core::mem::offset_of!(Unpaid, escrow) == 80);
        const _: () = assert!(core::mem::offset_of!(Unpaid, amount) == 112);
    };
}
