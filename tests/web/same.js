// Whether two texts are the same program: `{ name: [one, other] }` on standard input, the names of those that are
// not on standard output. Comments and blanks are no part of a program, texts in it are, all but their indentation.

import { readFileSync } from 'node:fs';
import ts from 'typescript';

/** Comments with types are nodes, too. */
const isComment = (kind) => kind >= ts.SyntaxKind.FirstJSDocNode && kind <= ts.SyntaxKind.LastJSDocNode;

/** The smallest parts of a program, in order, each by its kind and its words. */
function parts(text) {
  const file = ts.createSourceFile('one.js', text, ts.ScriptTarget.Latest, false, ts.ScriptKind.JS);
  if (file.parseDiagnostics.length > 0) {
    return [ts.flattenDiagnosticMessageText(file.parseDiagnostics[0].messageText, ' ')];
  }
  const found = [];
  const visit = (node) => {
    const children = node.getChildren(file).filter(({ kind }) => !isComment(kind));
    found.push(children.length > 0 ? node.kind : `${node.kind} ${node.getText(file).replace(/\n[ \t]+/g, '\n')}`);
    children.forEach(visit);
  };
  visit(file);
  return found;
}

const differ = Object.entries(JSON.parse(readFileSync(0, 'utf8'))).filter(([name, [one, other]]) => {
  const [a, b] = [parts(one), parts(other)];
  const at = a.findIndex((part, place) => part !== b[place]);
  const same = at < 0 && a.length === b.length;
  if (!same) console.log(`${name}: ${a[at]} became ${b[at]}`);
  return !same;
});
process.exitCode = differ.length > 0 ? 1 : 0;
