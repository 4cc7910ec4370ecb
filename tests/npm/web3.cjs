// Uses a ledger through @solana/web3.js. Standard input: {"url": ..., "mint": {address, held}} with addresses in base58;
// standard output: what it was told, as JSON. Confirmation is by polling.
const web3 = require("@solana/web3.js");

const { url, mint } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const { Connection, Keypair, PublicKey, SystemProgram, Transaction, TransactionMessage, VersionedTransaction } = web3;

const landed = async (connection, signature) => {
  for (let tries = 0; tries < 300; tries += 1) {
    const { value } = await connection.getSignatureStatus(signature);
    if (value && value.confirmationStatus !== "processed") return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${signature} did not land`);
};

const main = async () => {
  const connection = new Connection(url, "confirmed");
  const payer = Keypair.generate();
  const to = Keypair.generate().publicKey;
  const told = { version: await connection.getVersion(), genesis: await connection.getGenesisHash() };
  await landed(connection, await connection.requestAirdrop(payer.publicKey, 5e9));
  told.airdrop = await connection.getBalance(payer.publicKey);

  const pay = (lamports) => SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: to, lamports });
  const latest = await connection.getLatestBlockhash();
  const valid = await connection.isBlockhashValid(latest.blockhash);
  told.blockhash = { valid: valid.value, ahead: latest.lastValidBlockHeight - (await connection.getBlockHeight()) };
  const legacy = new Transaction({ feePayer: payer.publicKey, ...latest }).add(pay(1e9));
  told.simulated = (await connection.simulateTransaction(legacy, [payer])).value.err;
  told.fee = (await connection.getFeeForMessage(legacy.compileMessage())).value;
  const first = await connection.sendTransaction(legacy, [payer]);
  told.status = await landed(connection, first);

  const message = new TransactionMessage({
    payerKey: payer.publicKey,
    recentBlockhash: latest.blockhash,
    instructions: [pay(2e9)],
  }).compileToV0Message();
  const versioned = new VersionedTransaction(message);
  versioned.sign([payer]);
  const second = await connection.sendTransaction(versioned, { maxRetries: 0 });
  await landed(connection, second);
  told.balance = await connection.getBalance(to);

  try {
    await connection.sendTransaction(new Transaction({ feePayer: payer.publicKey, ...latest }).add(pay(9e9)), [payer]);
  } catch (error) {
    told.refused = { name: error.constructor.name, logs: error.logs };
  }

  const options = { maxSupportedTransactionVersion: 0, commitment: "confirmed" };
  const found = await connection.getTransaction(second, options);
  told.transaction = { fee: found.meta.fee, version: found.version, balances: found.meta.postBalances };
  const parsed = await connection.getParsedTransaction(first, options);
  told.parsed = parsed.transaction.message.accountKeys.map(({ signer, writable }) => ({ signer, writable }));
  const listed = await connection.getSignaturesForAddress(to, { limit: 10 }, "confirmed");
  told.listed = listed.map(({ signature }) => [first, second].indexOf(signature));

  const [held, key] = [new PublicKey(mint.held), new PublicKey(mint.address)];
  const account = await connection.getAccountInfo(held);
  told.account = { size: account.data.length, owner: account.owner.toBase58(), executable: account.executable };
  told.parsedAccount = (await connection.getParsedAccountInfo(held)).value.data.parsed.info.tokenAmount.uiAmountString;
  told.several = (await connection.getMultipleAccountsInfo([held, to, Keypair.generate().publicKey])).map(Boolean);
  const wallet = new PublicKey(account.data.subarray(32, 64));
  const mine = await connection.getParsedTokenAccountsByOwner(wallet, { mint: key });
  told.tokens = mine.value.map(({ pubkey }) => pubkey.toBase58());
  told.tokenBalance = (await connection.getTokenAccountBalance(held)).value.amount;
  told.supply = (await connection.getTokenSupply(key)).value.amount;
  const filters = [{ dataSize: 165 }, { memcmp: { offset: 0, bytes: key.toBase58() } }];
  const owned = await connection.getProgramAccounts(account.owner, { filters });
  told.programAccounts = owned.map(({ pubkey }) => pubkey.toBase58());
  told.rent = await connection.getMinimumBalanceForRentExemption(165);
  told.epoch = (await connection.getEpochInfo()).epoch;
  told.time = await connection.getBlockTime(await connection.getSlot());
  told.prices = (await connection.getRecentPrioritizationFees()).length > 0;
  process.stdout.write(JSON.stringify(told));
};

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
