"""Calls about accounts, programs and tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from settlement.cluster.tokens import ACCOUNT_BYTES, PROGRAMS, read_mint, read_token_account
from settlement.ledger.encoding import Shape, account_json, amount_json, shape_of
from settlement.ledger.errors import ParamsError
from settlement.ledger.limits import ADDRESSES_MAX, FILTER_BYTES_MAX, FILTERS_MAX
from settlement.ledger.params import Options, address, decoded

if TYPE_CHECKING:
    from collections.abc import Callable

    from solders.account import Account
    from solders.pubkey import Pubkey

    from settlement.cluster.tokens import TokenAccount
    from settlement.ledger.view import Call, View

    Filter = Callable[[Account], bool]


def get_balance(call: Call) -> Any:
    """Return the lamports of an account; 0 when there is none."""
    key, view = call.params.address(0), call.view(call.params.options(1))
    account = view.account(key)
    return view.context(0 if account is None else account.lamports)


def get_account_info(call: Call) -> Any:
    """Return an account, null when there is none."""
    key, options = call.params.address(0), call.params.options(1)
    view, shape = call.view(options), shape_of(options)
    account = view.account(key)
    return view.context(None if account is None else account_json(account, shape, view.decimals))


def get_multiple_accounts(call: Call) -> Any:
    """Return accounts in the order asked for, null where there is none."""
    texts, options = call.params.listed(0), call.params.options(1)
    if len(texts) > ADDRESSES_MAX:
        raise ParamsError(f"Too many inputs provided; max {ADDRESSES_MAX}")
    keys = [address(text) for text in texts]
    view, shape = call.view(options), shape_of(options, default="base64")
    found = [view.account(key) for key in keys]
    return view.context([None if one is None else account_json(one, shape, view.decimals) for one in found])


def get_program_accounts(call: Call) -> Any:
    """Return the accounts of a program that pass every filter."""
    owner, options = call.params.address(0), call.params.options(1)
    view, shape = call.view(options), shape_of(options)
    wanted = _filters(options)
    accounts = view.accounts_of(owner)
    found = {key: account for key, account in accounts.items() if all(passes(account) for passes in wanted)}
    listed = _listed(found, shape, view)
    return view.context(listed) if options.flag("withContext") else listed


def get_token_balance(call: Call) -> Any:
    """Return what a token account holds. Raises ParamsError for what is none."""
    key, view = call.params.address(0), call.view(call.params.options(1))
    account = view.account(key)
    if account is None:
        raise ParamsError("Invalid param: could not find account")
    token = read_token_account(account)
    decimals = None if token is None else view.decimals(token.mint)
    if token is None or decimals is None:
        raise ParamsError("Invalid param: not a Token account")
    return view.context(amount_json(token.amount, decimals))


def get_token_supply(call: Call) -> Any:
    """Return how much there is of a token. Raises ParamsError for what is no mint."""
    key, view = call.params.address(0), call.view(call.params.options(1))
    account = view.account(key)
    if account is None:
        raise ParamsError("Invalid param: could not find account")
    mint = read_mint(account)
    if mint is None:
        problem = "mint could not be unpacked" if account.owner in PROGRAMS else "not a Token mint"
        raise ParamsError(f"Invalid param: {problem}")
    return view.context(amount_json(mint.supply, mint.decimals))


def get_token_accounts_by_owner(call: Call) -> Any:
    """Return the token accounts of a wallet, of one mint or one token program."""
    return _token_accounts(call, lambda token: token.owner)


def get_token_accounts_by_delegate(call: Call) -> Any:
    """Return the token accounts that a key may spend from, of one mint or one token program."""
    return _token_accounts(call, lambda token: token.delegate)


def _token_accounts(call: Call, whose: Callable[[TokenAccount], Pubkey | None]) -> Any:
    key = call.params.address(0)
    call.params.require(2)
    asked, options = call.params.options(1), call.params.options(2)
    view, shape = call.view(options), shape_of(options)
    mint, program = asked.address("mint"), asked.address("programId")
    if mint is not None:
        account = view.account(mint)
        if account is None:
            raise ParamsError("Invalid param: could not find mint")
        if read_mint(account) is None:
            raise ParamsError("Invalid param: Token mint could not be unpacked")
        program = account.owner
    if program is None:
        raise ParamsError("Invalid params: invalid value: map, expected map with a single key.")
    if program not in PROGRAMS:
        raise ParamsError("Invalid param: unrecognized Token program id")
    found = {}
    for one, account in view.accounts_of(program).items():
        token = read_token_account(account)
        if token is not None and whose(token) == key and mint in (None, token.mint):
            found[one] = account
    return view.context(_listed(found, shape, view))


def _listed(accounts: dict[Pubkey, Account], shape: Shape, view: View) -> list[dict[str, Any]]:
    return [
        {"pubkey": str(key), "account": account_json(account, shape, view.decimals)}
        for key, account in accounts.items()
    ]


def _filters(options: Options) -> list[Filter]:
    wanted = options.at("filters") or []
    if not isinstance(wanted, list) or any(not isinstance(one, dict) for one in wanted):
        raise ParamsError("Invalid params: filters must be a list of objects.")
    if len(wanted) > FILTERS_MAX:
        raise ParamsError(f"Too many filters provided; max {FILTERS_MAX}")
    return [_filter(Options(one)) for one in wanted]


def _filter(wanted: Options) -> Filter:
    size = wanted.whole("dataSize")
    if size is not None:
        return lambda account: len(account.data) == size
    if wanted.flag("tokenAccountState"):
        return lambda account: len(account.data) >= ACCOUNT_BYTES and read_token_account(account) is not None
    compared = wanted.inner("memcmp")
    if compared is None:
        raise ParamsError("Invalid params: unknown variant, expected one of `dataSize`, `memcmp`, `tokenAccountState`.")
    offset, data = compared.whole("offset") or 0, _compared(compared)
    return lambda account: account.data[offset : offset + len(data)] == data


def _compared(options: Options) -> bytes:
    value = options.at("bytes")
    if isinstance(value, list):
        if any(type(one) is not int or not 0 <= one <= 255 for one in value):
            raise ParamsError("Invalid params: invalid value, expected u8.")
        data = bytes(value)
    else:
        data = _compared_text(options)
    if len(data) > FILTER_BYTES_MAX:
        raise ParamsError("Invalid param: DataTooLarge")
    return data


def _compared_text(options: Options) -> bytes:
    text = options.text("bytes")
    if text is None:
        raise ParamsError("Invalid params: missing field `bytes`.")
    return decoded(text, options.text("encoding") or "base58", bytes_max=2 * FILTER_BYTES_MAX)
