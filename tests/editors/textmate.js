// node textmate.js GRAMMAR FILE …: the scopes that the tokenizer of VS Code itself gives, where
// its packages vscode-textmate and vscode-oniguruma are installed.  Status 77 where not.
const fs = require('fs');
let textmate, oniguruma;
try {
  textmate = require('vscode-textmate');
  oniguruma = require('vscode-oniguruma');
} catch (e) {
  process.exit(77);
}
const wasm = fs.readFileSync(require.resolve('vscode-oniguruma/release/onig.wasm')).buffer;
const lib = oniguruma.loadWASM(wasm).then(() => ({
  createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
  createOnigString: (s) => new oniguruma.OnigString(s),
}));
const [grammarPath, ...files] = process.argv.slice(2);
const registry = new textmate.Registry({
  onigLib: lib,
  loadGrammar: async () => textmate.parseRawGrammar(fs.readFileSync(grammarPath, 'utf8'), grammarPath),
});
registry.loadGrammar('source.lqft').then((grammar) => {
  for (const path of files) {
    console.log('file ' + path);
    let at = 0, state = textmate.INITIAL;
    for (const line of fs.readFileSync(path, 'utf8').split('\n')) {
      const r = grammar.tokenizeLine(line, state);
      state = r.ruleStack;
      for (const t of r.tokens) {
        const bytes = (n) => at + Buffer.byteLength(line.slice(0, n));
        if (t.scopes.length > 1) console.log(bytes(t.startIndex), bytes(Math.min(t.endIndex, line.length)), t.scopes[1]);
      }
      at += Buffer.byteLength(line) + 1;
    }
  }
});
