// The loop of Node: node loop.js HOST PORT
const net = require("net");
const readline = require("readline");

const OPERATORS = { "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, "/": (a, b) => a / b };

net.createServer((client) => {
  client.on("error", () => {});
  const lines = readline.createInterface({ input: client });
  lines.on("error", () => {});
  lines.on("line", (line) => {
    const [a, operator, b] = line.split(" ");
    const value = OPERATORS[operator]?.(Number(a), Number(b));
    client.write(Number.isFinite(value) ? `${value}\n` : "error\n");
  });
}).listen(Number(process.argv[3]), process.argv[2]);
