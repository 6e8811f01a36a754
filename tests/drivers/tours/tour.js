// A tour with the official JavaScript driver. Usage: node tour.js HOST PORT [AUTHORITY]
'use strict';

const assert = require('assert');
const fs = require('fs');
const r = require('rethinkdb');

const [host, port] = [process.argv[2], Number(process.argv[3])];
// With a file of authorities every connection is TLS.
const tls = process.argv[4] ? { ssl: { ca: fs.readFileSync(process.argv[4]) } } : {};
const DOCUMENTS = 10000;

function check(name, found, expected) {
  assert.deepStrictEqual(found, expected, `${name}: found ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`);
  console.log(`ok ${name}`);
}

async function raises(name, kind, text, query, c) {
  try {
    await query.run(c);
  } catch (error) {
    assert.strictEqual(error.name, kind, `${name}: ${error}`);
    assert.ok(String(error.message).includes(text), `${name}: ${error.message}`);
    console.log(`ok ${name}`);
    return;
  }
  assert.fail(`${name}: nothing was raised`);
}

async function rows(query, c) {
  const cursor = await query.run(c);
  return Array.from(Array.isArray(cursor) ? cursor : await cursor.toArray());
}

async function tour() {
  const c = await r.connect({ host, port, ...tls });
  check('arithmetic', await r.expr(1).add(2).run(c), 3);
  check('a database is created', (await r.dbCreate('tour_js').run(c)).dbs_created, 1);
  c.use('tour_js');
  check('a table is created', (await r.tableCreate('people').run(c)).tables_created, 1);
  check('a second one', (await r.tableCreate('towns').run(c)).tables_created, 1);
  await r.table('towns').insert([...Array(10).keys()].map(n => ({ id: `town${n}`, size: n }))).run(c);
  let inserted = 0;
  for (let start = 0; start < DOCUMENTS; start += 500) {
    const batch = [...Array(500).keys()].map(i => {
      const n = start + i;
      return { id: n, name: `p${n}`, age: n % 90, town: `town${n % 10}`, tags: [`t${n % 3}`] };
    });
    inserted += (await r.table('people').insert(batch).run(c)).inserted;
  }
  check('10,000 documents are inserted', inserted, DOCUMENTS);
  check('and counted', await r.table('people').count().run(c), DOCUMENTS);
  check('and each is there', (await rows(r.table('people'), c)).length, DOCUMENTS);
  check('one is read back', (await r.table('people').get(4711).run(c)).name, 'p4711');

  await r.table('people').indexCreate('age').run(c);
  await r.table('people').indexCreate('place', [r.row('town'), r.row('age')]).run(c);
  await r.table('people').indexCreate('tags', { multi: true }).run(c);
  await r.table('people').indexWait().run(c);
  check('getAll by an index', await r.table('people').getAll(33, { index: 'age' }).count().run(c), 111);
  check('getAll by a compound index', await r.table('people').getAll(['town3', 3], { index: 'place' }).count().run(c), 112);
  check('getAll by a multi index', await r.table('people').getAll('t1', { index: 'tags' }).count().run(c), 3333);
  const byAge = r.table('people').filter({ age: 33 });
  const plan = await byAge.run(c, { explain: true, useIndex: 'auto' });
  check('a plan by an index', [plan.executed, plan.plan[0].access.path], [false, 'index point']);
  const analyzed = await byAge.run(c, { explain: 'analyze' });
  check('an analyzed plan', [analyzed.actual.rows_examined, analyzed.actual.rows_returned], [DOCUMENTS, 111]);
  check('a filter by an index', (await (await byAge.run(c, { useIndex: 'auto' })).toArray()).length, 111);
  const ordered = await rows(r.table('people').orderBy({ index: r.desc('age') }).limit(2)('age'), c);
  check('orderBy an index', ordered, [89, 89]);
  check('filter with a function', await r.table('people').filter(p => p('age').lt(10).and(p('town').eq('town5'))).count().run(c), 112);
  const joined = await rows(r.table('people').getAll(1, 2).eqJoin('town', r.table('towns')).without({ right: 'id' }).zip().orderBy('id')('size'), c);
  check('eqJoin', joined, [1, 2]);
  const grouped = await r.table('people').group('town').count().run(c);
  check('group', grouped.map(g => g.reduction), Array(10).fill(1000));
  check('update', (await r.table('people').get(1).update({ age: r.row('age').add(100) }).run(c)).replaced, 1);
  check('delete', (await r.table('people').get(2).delete().run(c)).deleted, 1);
  const at = new Date(Date.UTC(2020, 0, 2, 3, 4, 5));
  await r.table('towns').insert({ id: 'timed', at, raw: Buffer.from([0, 255]) }).run(c);
  const timed = await r.table('towns').get('timed').run(c);
  check('a time comes back', timed.at.getTime(), at.getTime());
  check('bytes come back', [...timed.raw], [0, 255]);

  await raises('a missing table', 'ReqlOpFailedError', 'does not exist', r.table('nothing'), c);
  await raises('a missing field', 'ReqlNonExistenceError', 'No attribute `x`', r.expr({ a: 1 })('x'), c);
  await raises('a wrong type', 'ReqlQueryLogicError', 'Expected type NUMBER but found STRING', r.expr(1).add('a'), c);
  await raises('an error of the user\'s', 'ReqlUserError', 'mine', r.error('mine'), c);

  check('a script', await r.js('1 + 1; 2 + 2').run(c), 4);
  const scripted = await r.expr([at, at]).map(r.js('(function(date) { return {year: date.getUTCFullYear(), date: date}; })')).run(c);
  check('a function in JavaScript', scripted.map(s => [s.year, s.date.getTime()]), Array(2).fill([2020, at.getTime()]));
  await raises('a script without end', 'ReqlQueryLogicError', 'timed out after 0.200 seconds', r.js('for (;;);', { timeout: 0.2 }), c);
  await raises('http is off by default', 'ReqlOpFailedError', '`http` is not allowed on this server', r.http('example.org', { page: 'link-next', pageLimit: 1 }).coerceTo('array'), c);

  const feed = await r.table('people').filter(r.row('age').gt(1000)).changes().run(c);
  const writer = await r.connect({ host, port, db: 'tour_js', ...tls });
  for (let n = 0; n < 20; n++) await r.table('people').insert({ id: `w${n}`, age: 1001 + n }).run(writer);
  const seen = [];
  for (let n = 0; n < 20; n++) seen.push((await feed.next()).new_val.age);
  check('a feed misses nothing and repeats nothing', seen.sort(), [...Array(20).keys()].map(n => 1001 + n));
  await feed.close();
  const first = await r.table('towns').changes({ resumeToken: true }).run(c);
  await r.table('towns').insert({ id: 'resumed', n: 1 }).run(writer);
  const token = (await first.next()).resume_token;
  await first.close();
  await r.table('towns').get('resumed').update({ n: 2 }).run(writer);
  const next = await r.table('towns').changes({ resumeToken: token }).run(c);
  check('a feed goes on', (await next.next()).new_val, { id: 'resumed', n: 2 });
  await next.close();
  await writer.close();
  check('the database is dropped', (await r.dbDrop('tour_js').run(c)).tables_dropped, 2);
  await c.close();
  console.log('tour done');
}

tour().catch(error => {
  console.error(error);
  process.exit(1);
});
