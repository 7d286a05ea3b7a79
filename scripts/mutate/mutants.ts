/** Mutants of the derivative table: one small change to the source of one rule each. */
import ts from 'typescript';

export interface Mutant {
  /** Names the change for good, whatever lies around it: file, place, kind, what became what. */
  readonly id: string;
  readonly kind: Kind;
  /** The ops whose rule is not what it was. */
  readonly ops: readonly string[];
  /** The whole source with the change in it. */
  readonly source: string;
  readonly file: string;
  readonly line: number;
}

export type Kind =
  | 'sign'
  | 'factor'
  | 'operand'
  | 'op'
  | 'axis'
  | 'reduction dropped'
  | 'branch'
  | 'flag'
  | 'gradient dropped'
  | 'linearity';

interface Change {
  readonly kind: Kind;
  readonly node: ts.Node;
  readonly to: string;
}

/** Methods that stand in for one another. */
const siblings: Readonly<Record<string, string>> = {
  add: 'sub',
  sub: 'add',
  mul: 'div',
  div: 'mul',
  sin: 'cos',
  cos: 'sin',
  sinh: 'cosh',
  cosh: 'sinh',
  exp: 'expm1',
  log: 'log1p',
  square: 'abs',
  rsqrt: 'sqrt',
  sqrt: 'rsqrt',
  sigmoid: 'tanh',
  gt: 'lt',
  lt: 'gt',
  maximum: 'minimum',
  minimum: 'maximum',
  tril: 'triu',
  triu: 'tril',
};
/** Methods whose receiver and argument can change places. */
const ordered = new Set(['sub', 'div', 'matmul', 'pow']);
/** Methods that turn, reverse or move: dropped, axes are not where they were. */
const turning = new Set(['transpose', 'permute', 'flip', 'tril', 'triu', 'moveAxis']);
/** Methods that change sign. */
const negating = new Set(['neg']);

const methodOf = (node: ts.Node): string | undefined =>
  ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)
    ? node.expression.name.text
    : undefined;
const functionOf = (node: ts.Node): string | undefined =>
  ts.isCallExpression(node) && ts.isIdentifier(node.expression) ? node.expression.text : undefined;
const receiverOf = (node: ts.Node): ts.Expression =>
  ((node as ts.CallExpression).expression as ts.PropertyAccessExpression).expression;

/** Every change to a part of a rule. */
function* changesIn(root: ts.Node, file: ts.SourceFile): Generator<Change> {
  const text = (node: ts.Node): string => node.getText(file);
  const visit = function* (node: ts.Node): Generator<Change> {
    const method = methodOf(node);
    const args = ts.isCallExpression(node) ? node.arguments : [];
    if (method !== undefined) {
      const receiver = text(receiverOf(node));
      if (negating.has(method)) yield { kind: 'sign', node, to: receiver };
      if (turning.has(method)) yield { kind: 'axis', node, to: receiver };
      if (method === 'sum' || method === 'sumTo') yield { kind: 'reduction dropped', node, to: receiver };
      if (method === 'where' && args.length === 2)
        yield { kind: 'branch', node, to: `${receiver}.where(${text(args[1]!)}, ${text(args[0]!)})` };
      const sibling = siblings[method];
      if (sibling !== undefined)
        yield { kind: 'op', node, to: `${receiver}.${sibling}(${args.map(text).join(', ')})` };
      if (ordered.has(method) && args.length === 1 && !ts.isNumericLiteral(args[0]!))
        yield { kind: 'operand', node, to: `${text(args[0]!)}.${method}(${receiver})` };
      if ((method === 'input' || method === 'output') && args.every(ts.isNumericLiteral)) {
        const at = method === 'output' ? -1 : Number(text(args[0]!));
        yield { kind: 'operand', node, to: `${receiver}.input(${at === 0 ? 1 : 0})` };
      }
    }
    const called = functionOf(node);
    if (called === 'sumTo' || called === 'spread')
      yield { kind: 'reduction dropped', node, to: text(args[0]!) };
    if (flags.has(node.kind) && !isSaving(node)) {
      const other = node.kind === ts.SyntaxKind.TrueKeyword ? 'false' : 'true';
      yield { kind: 'flag', node, to: `(${other} as boolean)` };
    }
    // `inputs: [dx, dy]`, `linearGiven([1], [dx, null])`: no gradient for one of them.
    for (const list of gradientLists(node))
      for (const rule of list.filter((item) => item.kind !== ts.SyntaxKind.NullKeyword))
        yield { kind: 'gradient dropped', node: rule, to: 'null as never' };
    if (ts.isStringLiteral(node) && (node.text === 'jointly' || node.text === 'separately'))
      yield { kind: 'linearity', node, to: node.text === 'jointly' ? "'separately'" : "'jointly'" };
    if (called === 'affine')
      yield { kind: 'linearity', node, to: `({ ...${text(node)}, linear: 'jointly' as const })` };
    if (ts.isNumericLiteral(node) && !isPlace(node))
      yield { kind: 'factor', node, to: `(${node.text} + 0.5)` };
    if (
      ts.isElementAccessExpression(node) &&
      /^(?:c|call)\.attrs$/.test(text(node.expression)) &&
      /axis/.test(text(node.argumentExpression))
    )
      yield {
        kind: 'axis',
        node,
        to: `(${text(node)} as number === 0 ? 1 : (${text(node)} as number) - 1)`,
      };
    // `axes.map((_, i) => axes.indexOf(i))`: the way back.
    if (method === 'indexOf' && args.length === 1) yield { kind: 'axis', node, to: text(args[0]!) };
    for (const child of childrenOf(node)) yield* visit(child);
  };
  yield* visit(root);
  // `linear(spread)`: the gradient is a function of another place.
  if (ts.isPropertyAssignment(root) && ts.isCallExpression(root.initializer))
    for (const node of root.initializer.arguments.filter(ts.isIdentifier)) {
      const called = `${node.text} as (...a: never[]) => any`;
      yield { kind: 'sign', node, to: `((...a: never[]) => (${called})(...a).neg())` };
      yield { kind: 'factor', node, to: `((...a: never[]) => (${called})(...a).mul(1.001))` };
    }
  for (const body of gradientsIn(root)) {
    const whole = text(body);
    yield { kind: 'sign', node: body, to: `(${whole}).neg()` };
    yield { kind: 'factor', node: body, to: `(${whole}).mul(1.001)` };
  }
}

const flags: ReadonlySet<ts.SyntaxKind> = new Set([ts.SyntaxKind.TrueKeyword, ts.SyntaxKind.FalseKeyword]);

/** What a rule saves is changed by what it then lacks, or holds in vain. */
const isSaving = ({ parent }: ts.Node): boolean =>
  ts.isPropertyAssignment(parent) && parent.name.getText() === 'output';

/** The lists of the gradients of inputs that a node gives. */
function gradientLists(node: ts.Node): (readonly ts.Expression[])[] {
  if (
    ts.isPropertyAssignment(node) &&
    node.name.getText() === 'inputs' &&
    ts.isArrayLiteralExpression(node.initializer)
  )
    // `saves: { inputs: [0] }` names places.
    return [node.initializer.elements.filter((item) => !ts.isNumericLiteral(item))];
  const called = functionOf(node);
  const args = ts.isCallExpression(node) ? node.arguments : [];
  if (called === 'linear' || called === 'affine') return [args];
  const list = called === 'ofInputs' ? args[0] : called === 'linearGiven' ? args[1] : undefined;
  return list && ts.isArrayLiteralExpression(list) ? [list.elements] : [];
}

const comparisons: ReadonlySet<ts.SyntaxKind> = new Set([
  ts.SyntaxKind.LessThanToken,
  ts.SyntaxKind.LessThanEqualsToken,
  ts.SyntaxKind.GreaterThanToken,
  ts.SyntaxKind.GreaterThanEqualsToken,
  ts.SyntaxKind.EqualsEqualsEqualsToken,
  ts.SyntaxKind.ExclamationEqualsEqualsToken,
]);

const childrenOf = (node: ts.Node): ts.Node[] => {
  const list: ts.Node[] = [];
  ts.forEachChild(node, (child) => void (ts.isTypeNode(child) || list.push(child)));
  return list;
};

/** A literal that counts inputs, places or axes is changed as such, not as a factor. */
function isPlace(node: ts.NumericLiteral): boolean {
  const { parent } = node;
  if (ts.isElementAccessExpression(parent) || ts.isArrayLiteralExpression(parent)) return true;
  if (ts.isPrefixUnaryExpression(parent)) return true;
  if (ts.isBinaryExpression(parent) && comparisons.has(parent.operatorToken.kind)) return true;
  const method = methodOf(parent);
  return method !== undefined && !['mul', 'add', 'sub', 'div', 'pow', 'where'].includes(method);
}

/** What the functions of a rule return: gradients, where their first parameter is called g. */
function* gradientsIn(root: ts.Node): Generator<ts.Expression> {
  const visit = function* (node: ts.Node): Generator<ts.Expression> {
    if (ts.isArrowFunction(node)) {
      const first = node.parameters[0]?.name;
      if (first && ts.isIdentifier(first) && first.text === 'g') {
        if (!ts.isBlock(node.body)) yield node.body;
        else for (const found of returnsIn(node.body)) yield found;
      }
    }
    for (const child of childrenOf(node)) yield* visit(child);
  };
  yield* visit(root);
}

function* returnsIn(node: ts.Node): Generator<ts.Expression> {
  if (ts.isReturnStatement(node) && node.expression) yield node.expression;
  else if (!ts.isFunctionLike(node)) for (const child of childrenOf(node)) yield* returnsIn(child);
}

/** The parts of a file that make up rules: entries of tables, and what they stand on. */
function partsOf(file: ts.SourceFile, known: ReadonlySet<string>): { node: ts.Node; ops: string[] }[] {
  const entries: { node: ts.Node; op: string }[] = [];
  const shared = new Map<string, ts.Node>();
  for (const statement of file.statements) {
    if (ts.isFunctionDeclaration(statement) && statement.name) shared.set(statement.name.text, statement);
    if (!ts.isVariableStatement(statement)) continue;
    for (const { name, initializer } of statement.declarationList.declarations) {
      if (!initializer || !ts.isIdentifier(name)) continue;
      const rules = ts.isObjectLiteralExpression(initializer)
        ? initializer.properties.filter(({ name: own }) => own && ts.isIdentifier(own) && known.has(own.text))
        : [];
      if (rules.length === 0) shared.set(name.text, initializer);
      for (const rule of rules) entries.push({ node: rule, op: (rule.name as ts.Identifier).text });
    }
  }
  const uses = (node: ts.Node): Set<string> => {
    const found = new Set<string>();
    const visit = (at: ts.Node): void => {
      if (ts.isIdentifier(at) && shared.has(at.text) && !found.has(at.text)) {
        found.add(at.text);
        visit(shared.get(at.text)!);
      }
      childrenOf(at).forEach(visit);
    };
    childrenOf(node).forEach(visit);
    if (ts.isShorthandPropertyAssignment(node)) visit(node.name);
    return found;
  };
  const used = entries.map(({ node, op }) => ({ op, names: uses(node) }));
  return [
    ...entries.map(({ node, op }) => ({ node, ops: [op] })),
    ...[...shared].map(([name, node]) => ({
      node,
      ops: used.flatMap(({ op, names }) => (names.has(name) ? [op] : [])),
    })),
  ].filter(({ ops }) => ops.length > 0);
}

/** All mutants of a file of rules. */
export function mutantsOf(name: string, source: string, known: ReadonlySet<string>): Mutant[] {
  const file = ts.createSourceFile(name, source, ts.ScriptTarget.ES2022, true);
  const counts = new Map<string, number>();
  return partsOf(file, known).flatMap(({ node: part, ops }) =>
    [...changesIn(part, file)].map(({ kind, node, to }): Mutant => {
      const squeezed = (text: string): string => text.replaceAll(/\s+/g, ' ');
      const base = `${name} ${ops.join('+')}: ${kind}: ${squeezed(node.getText(file))} → ${squeezed(to)}`;
      const count = (counts.get(base) ?? 0) + 1;
      counts.set(base, count);
      return {
        id: count > 1 ? `${base} (${count})` : base,
        kind,
        ops,
        file: name,
        source: source.slice(0, node.getStart(file)) + to + source.slice(node.end),
        line: file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1,
      };
    }),
  );
}
