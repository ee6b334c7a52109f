// dotnet run URL IMAGE: print the answer as JSON. .NET 6 or newer, without a package.
using System.Net.Http;

using var client = new HttpClient();
using var form = new MultipartFormDataContent();
form.Add(new ByteArrayContent(File.ReadAllBytes(args[1])), "image", Path.GetFileName(args[1]));
using var answer = await client.PostAsync($"{args[0]}/predict?top_k=1", form);
Console.WriteLine(await answer.Content.ReadAsStringAsync());
return answer.IsSuccessStatusCode ? 0 : 1;
