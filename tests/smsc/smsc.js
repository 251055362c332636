// A real SMSC, by the npm package `smpp`, told what to do by lines of JSON on stdin; what it hears it says on
// stdout, a line of JSON each. It listens on a port of its own and ends with its stdin.
//
// {"answers": [{"status": 88}, {"silent": true}, {"drop": true}, {"nack": 8}]}   for the next submit_sm's
// {"deliver": {"esm_class": 4, "short_message": {"message": "..."}, ...}}        to whoever is bound
// {"hang_up": true}, {"unbind": true}, {"deaf": true}                           deaf: no word from now on
// {"fresh": true}                             hang up, forget all that was ordered; {"echo": 1} is said again
'use strict';
const fs = require('fs');
const path = require('path');
const readline = require('readline');
const smpp = require('smpp');

const [systemId, password] = ['carillon', 'let-me-in'];
const sessions = new Set();
let answers = [];
let deaf = false;
let messages = 0;
let generation = 0;

function say(event, fields) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + '\n');
}

function bind(session, pdu) {
  const known = pdu.system_id === systemId && pdu.password === password;
  const status = pdu.system_id !== systemId ? smpp.ESME_RINVSYSID : known ? 0 : smpp.ESME_RINVPASWD;
  say('bind', { status, version: pdu.interface_version, system_type: pdu.system_type });
  session.send(pdu.response({ command_status: status, system_id: 'smsc' }));
  if (known) sessions.add(session);
}

function submit(session, pdu) {
  const content = pdu.message_payload || pdu.short_message;
  const plan = answers.shift() || {};
  const id = (0xa0 + messages).toString(16);
  say('submit', {
    id,
    text: content.message,
    udh: content.udh ? Buffer.concat(content.udh).toString('hex') : '',
    payload: Boolean(pdu.message_payload),
    source: [pdu.source_addr, pdu.source_addr_ton, pdu.source_addr_npi],
    destination: [pdu.destination_addr, pdu.dest_addr_ton, pdu.dest_addr_npi],
    data_coding: pdu.data_coding,
    esm_class: pdu.esm_class,
    registered_delivery: pdu.registered_delivery,
    validity_period: pdu.validity_period,
    status: plan.status || plan.nack || 0,
  });
  if (plan.drop) return session.destroy();
  if (plan.silent) return undefined;
  if (plan.nack) {
    return session.generic_nack({ sequence_number: pdu.sequence_number, command_status: plan.nack });
  }
  if (plan.status) return session.send(pdu.response({ command_status: plan.status }));
  messages += 1;
  return session.send(pdu.response({ message_id: id }));
}

function welcome(session) {
  const born = generation;
  session.on('error', () => {});
  session.on('close', () => {
    sessions.delete(session);
    if (born === generation) say('close');
  });
  session.on('pdu', (pdu) => {
    if (deaf || born !== generation) return;
    if (pdu.command === 'bind_transceiver') bind(session, pdu);
    else if (pdu.command === 'submit_sm') submit(session, pdu);
    else if (pdu.command === 'unbind' || pdu.command === 'enquire_link') {
      say(pdu.command);
      session.send(pdu.response());
      if (pdu.command === 'unbind') session.close();
    } else say(pdu.command, { status: pdu.command_status });
  });
}

const pem = fs.readFileSync(path.join(__dirname, '..', 'data', 'test-only-localhost.pem'));
const open = smpp.createServer({}, welcome);
const secret = smpp.createServer({ key: pem, cert: pem }, welcome);
open.listen(0, '127.0.0.1', () => {
  secret.listen(0, '127.0.0.1', () => {
    say('listening', { port: open.address().port, tls_port: secret.address().port });
  });
});

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const order = JSON.parse(line);
  if (order.answers) answers = answers.concat(order.answers);
  if (order.deaf) deaf = true;
  if (order.fresh) {
    [answers, deaf, messages] = [[], false, 0];
    generation += 1;
  }
  for (const session of sessions) {
    if (order.deliver) session.deliver_sm(order.deliver);
    if (order.unknown) session.query_sm({ message_id: 'x' });
    if (order.unbind) session.unbind();
    if (order.hang_up || order.fresh) session.destroy();
  }
  if (order.echo) say('echo', { number: order.echo });
}).on('close', () => process.exit(0));
