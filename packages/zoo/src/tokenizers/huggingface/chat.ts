/** Chat templates of Hugging Face: programs in Jinja, run by @huggingface/jinja. */
import { describeValue, FormatError, ValueError } from '@infinigrad/tensor';
import type { ChatTemplate, SpecialTokens } from '../tokenizer.ts';
import { jinjaLibrary } from './library.ts';

/** Characters of a template; those in use have some thousands. */
const longest = 2 ** 18;

/**
 * A template as a function, for `tokenizer.chatTemplate`. It reads `messages`, `add_generation_prompt`, `bos_token` and the like, and whatever
 * options hold besides. A template is a program, which can loop for long: take those that you trust.
 * @throws FormatError for what is no template; later ValueError for messages that it refuses
 */
export async function chatTemplate(source: string, special: SpecialTokens = {}): Promise<ChatTemplate> {
  const op = 'chatTemplate';
  if (typeof source !== 'string' || source.length > longest)
    throw new FormatError(
      op,
      `must be a text of at most ${longest} characters, got ${typeof source === 'string' ? source.length : describeValue(source)}`,
    );
  const { Template } = await jinjaLibrary();
  let template: InstanceType<typeof Template>;
  try {
    template = new Template(source);
  } catch (error) {
    throw new FormatError(op, `is no template: ${messageOf(error)}`);
  }
  const tokens = Object.fromEntries(Object.entries(special).map(([role, text]) => [`${role}_token`, text]));
  return (messages, { addGenerationPrompt = false, ...others }) => {
    if (!Array.isArray(messages))
      throw new ValueError('Tokenizer.chat', `needs a list of messages, got ${describeValue(messages)}`);
    messages.forEach((message: unknown, i) => {
      if (typeof (message as { role?: unknown } | null)?.role !== 'string')
        throw new ValueError('Tokenizer.chat', `messages[${i}] has no role`);
    });
    try {
      return template.render({ ...tokens, ...others, messages, add_generation_prompt: addGenerationPrompt });
    } catch (error) {
      throw new ValueError('Tokenizer.chat', `the template refuses: ${messageOf(error)}`);
    }
  };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
